# The service as an image: docker build -t route-service . (or eng/image.sh, which also fixes the bases by their digests and tries it out)
# Images of the same kind from elsewhere, or fixed ones: --build-arg SDK=…@sha256:… --build-arg RUNTIME=…@sha256:…
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0
ARG RUNTIME=mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled

# Where an image for another processor is built, the compilers still run on this one.
FROM --platform=$BUILDPLATFORM ${SDK} AS build
ARG TARGETARCH
WORKDIR /source

# As CI builds: paths of this build are in no assembly.
ENV CI=true

# What is restored changes less often than the sources, so it is a layer of its own, of exactly the packages of eng/locks. What was fetched stays with the builder.
COPY global.json Directory.Build.props Directory.Packages.props ./
COPY eng/locks eng/locks
COPY protos/*.csproj protos/
COPY src/Package.props src/
COPY src/Api/*.csproj src/Api/
COPY src/Domain/*.csproj src/Domain/
COPY src/Infrastructure/*.csproj src/Infrastructure/
RUN --mount=type=cache,target=/root/.local/share/NuGet/http-cache \
    dotnet restore src/Api -a "${TARGETARCH:-amd64}" --locked-mode -p:LockPackages=true -p:PublishReadyToRun=true

# The program's own assemblies, which change each time, go into a layer of their own. A folder keeps its mode where it is copied as a part of another.
COPY . .
RUN dotnet publish src/Api -c Release -a "${TARGETARCH:-amd64}" --no-restore --no-self-contained -p:LockPackages=true -p:PublishReadyToRun=true -p:DebugType=none -o /app \
    && mkdir /own && mv /app/RouteService.* /own && mkdir -p -m 0770 /made/data

FROM ${RUNTIME}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="RouteService" \
      org.opencontainers.image.description="Places, routes and travellers' notes over gRPC, on PostGIS" \
      org.opencontainers.image.vendor="The RouteService authors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /app /app
COPY --from=build /own /app

# The user that .NET's images have for this; where another user runs it, as on OpenShift, that one is of the group 0. Only /data is written to, and that only where no database is
# set: the embedded store is in /data/.data.
COPY --from=build --chown=1654:0 /made /
WORKDIR /data
USER 1654:1654

# .NET's images set a port of their own, which this service does not use and would warn of; and diagnostics' sockets are in /tmp, which may be read-only.
ENV ASPNETCORE_HTTP_PORTS= \
    DOTNET_EnableDiagnostics=0
EXPOSE 50051 8081
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["dotnet", "/app/RouteService.Api.dll", "health"]
ENTRYPOINT ["dotnet", "/app/RouteService.Api.dll"]
