"""A receiver of OTLP exports, for the measuring scripts."""
import collections
import http.server
import threading


class Collector:
    """An OTLP receiver over HTTP that reads and counts requests, and keeps nothing."""

    def __init__(self):
        self.exports = collections.Counter()  # Requests by path: /v1/traces, /v1/metrics, /v1/logs.
        exports = self.exports

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                exports[self.path] += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def environment(self, traces=None):
        """The variables of a service that exports to it: metrics every second, and a part of the traces, or all of them."""
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        }
        if traces is not None:
            variables |= {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": str(traces)}
        return variables
