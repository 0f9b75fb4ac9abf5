# The service as an image: docker build -t route-service . (or eng/image.sh, which also pins the base images by their digests and tries the image out)
# Other base images of the same kind, or pinned ones: --build-arg SDK=…@sha256:… --build-arg RUNTIME=…@sha256:…
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0
ARG RUNTIME=mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled

# For an image of another processor, the compilers still run on this one.
FROM --platform=$BUILDPLATFORM ${SDK} AS build
ARG TARGETARCH
WORKDIR /source

# As in CI: assemblies contain no paths of this build.
ENV CI=true

# The restored packages, exactly those of eng/locks, change less often than the sources, so they have their own layer. Downloads stay in the builder's cache.
COPY global.json Directory.Build.props Directory.Packages.props ./
COPY eng/locks eng/locks
COPY protos/*.csproj protos/
COPY src/Package.props src/
COPY src/Api/*.csproj src/Api/
COPY src/Domain/*.csproj src/Domain/
COPY src/Infrastructure/*.csproj src/Infrastructure/
RUN --mount=type=cache,target=/root/.local/share/NuGet/http-cache \
    dotnet restore src/Api -a "${TARGETARCH:-amd64}" --locked-mode -p:LockPackages=true -p:PublishReadyToRun=true

# The program's own assemblies change with each build, so they have their own layer. A folder keeps its mode if it is copied as part of another.
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

# The user of .NET's images; another user, as on OpenShift, is of the group 0. Only /data is written to, and only without a database: the embedded store is in
# /data/.data.
COPY --from=build --chown=1654:0 /made /
WORKDIR /data
USER 1654:1654

# .NET's images set a port, which this service does not use and would warn about. Diagnostics would open sockets in /tmp, which may be read-only.
ENV ASPNETCORE_HTTP_PORTS= \
    DOTNET_EnableDiagnostics=0
EXPOSE 50051 8081
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["dotnet", "/app/RouteService.Api.dll", "health"]
ENTRYPOINT ["dotnet", "/app/RouteService.Api.dll"]
