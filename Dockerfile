# cmt in containers: `cmt` for coordinator, board and the command line, `host` for a machine to try it with (docker-compose.yml).
FROM node:20-bookworm-slim AS build
# For the native parts of ssh2.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends g++ make python3 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN npm ci --no-audit --no-fund --loglevel=error && npm run build

FROM node:20-bookworm-slim AS cmt
RUN groupadd --system --gid 990 cmt \
 && useradd --system --uid 990 --gid cmt --home-dir /var/lib/cmt --shell /usr/sbin/nologin cmt \
 && install -d -m 0700 -o cmt -g cmt /var/lib/cmt \
 && install -d -m 0755 -o cmt -g cmt /fleet
COPY --from=build /src/dist /opt/cmt/dist
COPY --from=build /src/bin/cmt /opt/cmt/bin/cmt
COPY docker/coordinator.sh docker/healthy.mjs /opt/cmt/docker/
RUN ln -s /opt/cmt/bin/cmt /usr/local/bin/cmt
ENV CMT_STATE_DIR=/var/lib/cmt
VOLUME /var/lib/cmt
USER cmt
ENTRYPOINT ["cmt"]

# The first Debian with a criu that works on kernels from 6.16 on.
FROM debian:forky-slim AS host
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends criu runc crun iptables nftables iproute2 iputils-arping \
    openssh-server openssh-client rsync procps kmod ca-certificates \
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_*
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /src/dist /opt/cmt/dist
COPY --from=build /src/bin/cmt /opt/cmt/bin/cmt
COPY docker/host.sh docker/fleet-keys.sh docker/healthy.mjs /opt/cmt/docker/
COPY docker/sshd.conf /etc/ssh/sshd_config.d/cmt.conf
RUN ln -s /opt/cmt/bin/cmt /usr/local/bin/cmt && install -d -m 0755 /fleet
ENV CMT_STATE_DIR=/var/lib/cmt
VOLUME /var/lib/cmt
ENTRYPOINT ["/opt/cmt/docker/host.sh"]
