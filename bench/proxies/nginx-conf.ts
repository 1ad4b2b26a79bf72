// The one configuration that both nginx and sockgate run: plain and TLS, tunnels and pages, one worker.

import type { Setup } from './proxy-program.ts';

export function nginxConf({ port, tlsPort, peerPort, certificate, connectionsMost }: Setup): string {
  return `daemon off;
worker_processes 1;
worker_rlimit_nofile ${connectionsMost * 2 + 200};
pid nginx.pid;
error_log error.log warn;

events {
    # nginx closes idle connections when a sixteenth of these is left.
    worker_connections ${Math.ceil(connectionsMost * 2.5)};
}

http {
    access_log off;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;

    # Connections live as long as the benchmark.
    keepalive_timeout 10m;
    keepalive_requests 1000000000;
    proxy_read_timeout 10m;

    upstream peer {
        server 127.0.0.1:${peerPort};
        keepalive 64;
        keepalive_requests 1000000000;
        keepalive_timeout 10m;
    }

    server {
        listen 127.0.0.1:${port} backlog=4096;
        listen 127.0.0.1:${tlsPort} ssl backlog=4096;
        ssl_certificate ${certificate.certificate};
        ssl_certificate_key ${certificate.key};
        ssl_protocols TLSv1.3;

        location / {
            proxy_pass http://peer;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        location /websocket {
            proxy_pass http://peer;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
        }
    }
}
`;
}
