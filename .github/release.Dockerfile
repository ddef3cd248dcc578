# The images of a release, from the binaries that the archives have too: `mintkeep version` tells the commit. The Dockerfile beside
# the sources builds the same from a checkout. The digest is that of the index of all platforms.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm@sha256:dc9ad6c05acc7a88e5b71bde60a5fe3bd4b9f0db209011711b464107438a8107 AS certificates

FROM scratch AS guard
ARG TARGETPLATFORM
COPY --from=certificates /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY $TARGETPLATFORM/mintkeep-guard /mintkeep-guard
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["/mintkeep-guard", "healthcheck"]
ENTRYPOINT ["/mintkeep-guard"]

FROM scratch AS mintkeep
ARG TARGETPLATFORM
COPY --from=certificates /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY $TARGETPLATFORM/mintkeep /mintkeep
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s CMD ["/mintkeep", "healthcheck"]
ENTRYPOINT ["/mintkeep"]
