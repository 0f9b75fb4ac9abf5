// Calls a running RouteService with @grpc/grpc-js, its protos loaded from the files. Usage: node client.mjs ADDRESS SCENARIO PROTOS
import assert from 'node:assert/strict';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const [address, scenario, protos] = process.argv.slice(2);

// Each proto by itself: two of them have a HelloRequest, and the loader would take one for the other.
const load = file => grpc.loadPackageDefinition(loader.loadSync(file, { includeDirs: [protos], keepCase: true, defaults: true, longs: String }));
const { helloworld } = load('helloworld.proto');
const { HelloService } = load('hello_service.proto');
const { routeguide } = load('route_guide.proto');
const credentials = grpc.credentials.createInsecure();

const unary = (client, method, request, ...more) => new Promise((resolve, reject) =>
  client[method](request, ...more, (error, response) => error ? reject(error) : resolve(response)));

const collect = call => new Promise((resolve, reject) => {
  const messages = [];
  call.on('data', message => messages.push(message)).on('end', () => resolve(messages)).on('error', reject);
});

// The messages of a call, one at a time.
const take = call => {
  const iterator = call[Symbol.asyncIterator]();
  return async () => (await iterator.next()).value;
};

const failure = promise => promise.then(answer => assert.fail(`an error was expected, and ${JSON.stringify(answer)} came`), error => error);
const point = (latitude, longitude = 0) => ({ latitude, longitude });
const note = (latitude, message) => ({ location: point(latitude), message });

const scenarios = {
  async unary() {
    const client = new helloworld.Greeter(address, credentials);
    assert.equal((await unary(client, 'SayHello', { name: 'Zoë' })).message, 'Hello, Zoë!');
    assert.equal((await unary(client, 'SayHelloAgain', { name: 'Zoë' })).message, 'Hello again, Zoë!');
    const error = await failure(unary(new routeguide.RouteGuide(address, credentials), 'GetFeature', point(900000001)));
    assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
    assert.match(error.details, /latitude is 900000001/);
    assert.ok(error.metadata.get('grpc-status-details-bin')[0].length > 0);
  },

  async serverStreaming() {
    const client = new HelloService(address, credentials);
    assert.deepEqual((await collect(client.LotsOfReplies({ greeting: 'A' }))).map(r => r.reply), [1, 2, 3, 4, 5].map(i => `Hello, A! (${i})`));
    const guide = new routeguide.RouteGuide(address, credentials);
    const listed = await collect(guide.ListFeatures({ lo: point(420000000, -730000000), hi: point(400000000, -750000000) }));
    assert.ok(listed.length > 300 && listed.every(f => f.location.latitude >= 400000000 && f.location.latitude <= 420000000));
  },

  async clientStreaming() {
    const guide = new routeguide.RouteGuide(address, credentials);
    const { summary, trailers } = await new Promise((resolve, reject) => {
      let summary;
      const metadata = new grpc.Metadata();
      metadata.add('x-text', 'plain ascii');
      metadata.add('x-bytes-bin', Buffer.from([0, 127, 128, 255]));
      const call = guide.RecordRoute(metadata, (error, response) => error ? reject(error) : (summary = response));
      call.on('status', status => resolve({ summary, trailers: status.metadata }));
      [point(0), point(10000000), point(403487200, -746590500)].forEach(p => call.write(p));
      call.end();
    });
    assert.equal(summary.point_count, 3);
    assert.equal(summary.feature_count, 1);
    assert.equal(summary.distance, Math.trunc(Number(trailers.get('route-distance-meters')[0])));
  },

  async bidirectional() {
    const guide = new routeguide.RouteGuide(address, credentials);
    const call = guide.RouteChat();
    const answers = collect(call);
    [note(500, 'a'), note(500, 'b'), note(501, 'elsewhere'), note(500, 'c')].forEach(n => call.write(n));
    call.end();
    assert.deepEqual((await answers).map(n => n.message), ['a', 'a', 'b']);

    const hello = new HelloService(address, credentials).BidiHello();
    const first = new Promise(resolve => hello.once('data', resolve));
    hello.write({ greeting: 'A' });
    assert.equal((await first).reply, 'Hello, A!');
    hello.end();
  },

  async live() {
    const guide = new routeguide.RouteGuide(address, credentials);
    const listener = guide.RouteChat();
    const heard = take(listener);
    listener.write(note(510, 'listening'));
    listener.write(note(510, 'still'));
    assert.equal((await heard()).message, 'listening');
    const other = guide.RouteChat();
    other.write(note(510, 'x'));
    other.write(note(511, 'elsewhere'));
    other.write(note(510, 'y'));
    other.end();
    assert.deepEqual((await collect(other)).map(n => n.message), ['listening', 'still', 'listening', 'still', 'x']);
    for (const message of ['x', 'y']) {
      assert.deepEqual(await heard(), { ...note(510, message), sequence: '0', note_id: '' });
    }
    listener.end();
  },

  async sequenced() {
    const guide = new routeguide.RouteGuide(address, credentials);
    const open = (...entries) => {
      const metadata = new grpc.Metadata();
      metadata.add('route-chat-mode', 'sequenced');
      entries.forEach(([key, value]) => metadata.add(key, value));
      return guide.RouteChat(metadata);
    };
    const write = (call, i) => call.write({ ...note(520, `note ${i}`), note_id: `node-${i}` });

    // Posts are acknowledged by themselves, with their sequences; the drop comes before the last is.
    const first = open();
    const acknowledgement = take(first);
    [0, 1, 2, 3].forEach(i => write(first, i));
    const received = [await acknowledgement(), await acknowledgement()];
    assert.deepEqual(received.map(n => n.note_id), ['node-0', 'node-1']);
    first.on('error', () => {});
    first.cancel();

    // It goes on where it was, and repeats what was not acknowledged.
    const second = open(['route-chat-listen', '520,0'], ['route-chat-after', received[1].sequence]);
    const rest = collect(second);
    [2, 3, 4].forEach(i => write(second, i));
    second.end();
    received.push(...await rest);
    assert.deepEqual(received.map(n => n.note_id), [0, 1, 2, 3, 4].map(i => `node-${i}`));
    const sequences = received.map(n => Number(n.sequence));
    assert.deepEqual(sequences, [...new Set(sequences)].sort((a, b) => a - b));

    // One who only listens.
    const third = open(['route-chat-listen', '520,0'], ['route-chat-after', String(sequences[2])]);
    third.end();
    assert.deepEqual((await collect(third)).map(n => Number(n.sequence)), sequences.slice(3));
    const error = await failure(collect(open(['route-chat-after', 'x'])));
    assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
  },

  async deadline() {
    const guide = new routeguide.RouteGuide(address, credentials);
    const call = guide.RouteChat({ deadline: Date.now() + 300 });
    call.write(note(502, 'x'));
    assert.equal((await failure(collect(call))).code, grpc.status.DEADLINE_EXCEEDED);
  },

  async cancellation() {
    const guide = new routeguide.RouteGuide(address, credentials);
    const call = guide.ListFeatures({ lo: point(-900000000, -1800000000), hi: point(900000000, 1800000000) });
    call.once('data', () => call.cancel());
    assert.equal((await failure(collect(call))).code, grpc.status.CANCELLED);
    await scenarios.serverStreaming();
  },
};

await scenarios[scenario]();
process.exit(0);
