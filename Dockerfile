# Build with the toolchain of go.mod. The digest is that of the index of all platforms.
FROM golang:1.26.8-bookworm@sha256:dc9ad6c05acc7a88e5b71bde60a5fe3bd4b9f0db209011711b464107438a8107 AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY server/guard/go.mod server/guard/go.sum server/guard/
RUN go mod download && cd server/guard && go mod download
COPY . .
ARG VERSION
RUN .ci/build /out/mintkeep "$VERSION" && .ci/build /out/mintkeep-guard "$VERSION"

# docker build --target guard: the guard, beside a service.
FROM scratch AS guard
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/mintkeep-guard /mintkeep-guard
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["/mintkeep-guard", "healthcheck"]
ENTRYPOINT ["/mintkeep-guard"]

# The image has the static binary and the CA certificates for a Redis with TLS. It has no shell.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/mintkeep /mintkeep
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["/mintkeep", "healthcheck"]
ENTRYPOINT ["/mintkeep"]
