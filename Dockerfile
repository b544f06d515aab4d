# The build: everything cargo needs to read the manifest, and nothing else.
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY canary canary
COPY config config
COPY jar jar
COPY router router
COPY benches benches
COPY tests tests
RUN cargo build --release --locked --bin kanaria

# The image: the binary, the certificates of the system, and a user that owns nothing but its state.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 kanaria \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /etc/kanaria --shell /usr/sbin/nologin kanaria \
    && install -d -o kanaria -g kanaria -m 0750 /etc/kanaria /etc/kanaria/state
COPY --from=build /source/target/release/kanaria /usr/local/bin/kanaria
COPY config/examples/minimal.toml /etc/kanaria/kanaria.toml
USER 10001:10001
WORKDIR /etc/kanaria
# Keep the live state: without this volume a replaced container starts from the file's weights.
VOLUME ["/etc/kanaria/state"]
EXPOSE 8080
# /readyz needs no token, so this works with and without admin.tokens, while admin.bind has port 9900 on loopback.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9900 && printf 'GET /readyz HTTP/1.1\\r\\nHost: 127.0.0.1:9900\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/kanaria"]
CMD ["run", "-c", "/etc/kanaria/kanaria.toml"]
