# Lastseen in a container: built in one image, run in another that has a C library, this program and nothing else.
#
#   docker build --build-arg LASTSEEN_COMMIT="$(git rev-parse HEAD)" --tag lastseen .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp \
#     --volume lastseen:/var/lib/lastseen --publish 127.0.0.1:8080:8080 \
#     --env LASTSEEN_PUBLIC_URL=https://sessions.example.org lastseen

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
# The repository stays outside; whoever builds says what it is at.
ARG LASTSEEN_COMMIT
ENV LASTSEEN_COMMIT=$LASTSEEN_COMMIT
RUN cargo build --release --locked --package lastseen-server
# An empty folder, so that a new volume belongs to the user of the image below.
RUN mkdir /state

# glibc and libgcc_s; no shell, no package manager. 65532 is its user `nonroot`.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /source/target/release/lastseen /usr/bin/lastseen
COPY --from=build --chown=65532:65532 /state /var/lib/lastseen
USER 65532:65532
ENV LASTSEEN_LISTEN=0.0.0.0:8080
ENV LASTSEEN_DATABASE=sqlite:/var/lib/lastseen/lastseen.db
ENV LASTSEEN_LOG_FORMAT=json
VOLUME /var/lib/lastseen
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["/usr/bin/lastseen", "health"]
ENTRYPOINT ["/usr/bin/lastseen"]
CMD ["serve"]
