# The service as an image: docker build -t route-service .
# Another feed's images, or others of the same kind: --build-arg SDK=… --build-arg RUNTIME=…
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0
ARG RUNTIME=mcr.microsoft.com/dotnet/aspnet:10.0

FROM ${SDK} AS build
WORKDIR /source
COPY . .
RUN dotnet publish src/Api/RouteService.Api.csproj -c Release -o /app && mkdir /data

FROM ${RUNTIME}
COPY --from=build /app /app

# The user that .NET's images have for this. Where no database is set, the embedded store is in /data/.data.
COPY --from=build --chown=1654:1654 /data /data
WORKDIR /data
USER 1654:1654

# .NET's images set a port of their own, which this service does not use and would warn of.
ENV ASPNETCORE_HTTP_PORTS=
EXPOSE 50051 8081
ENTRYPOINT ["dotnet", "/app/RouteService.Api.dll"]
