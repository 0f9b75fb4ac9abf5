// h2rg: a load client for gRPC servers on raw HTTP/2 (libnghttp2; cleartext with prior knowledge). It has one thread, and counts
// length-prefixed messages without decoding them, so that nearly all of the machine is left to the server. It checks for every call the
// HTTP status, grpc-status, that the request was read to its end, that no message is cut off, and, with --expect, how many came.
//
// Debian: apt-get install g++ libnghttp2-dev; g++ -O2 -std=c++17 h2rg.cc -o h2rg -lnghttp2
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr char Usage[] =
    "usage: h2rg METHOD BODY ADDRESS:PORT [options]\n"
    "  METHOD         of routeguide.RouteGuide, or a whole path such as /helloworld.Greeter/SayHello\n"
    "  BODY           a file of length-prefixed messages; every call sends all of it\n"
    "  -n CALLS       how many calls to make; 1000 unless given\n"
    "  -s SECONDS     begin calls for this long instead\n"
    "  -c CONNECTIONS 1 unless given\n"
    "  -m CALLS       in flight on each connection; 1 unless given\n"
    "  --split        a call sends one message of BODY; the calls take them in turn\n"
    "  --expect COUNT messages that each call must answer with; -1, the default, for any\n"
    "  --limit SECONDS for the last call to end, from the start or after the time of -s; 120 unless given\n"
    "Prints one line of key=value pairs. Exits with 1 where a call failed, and with 2 where an argument is wrong.\n";

constexpr size_t PrefixSize = 5;  // A flag, and the length in four bytes.
constexpr uint32_t Window = (1u << 30) - 1;
constexpr size_t SendBuffer = 64 * 1024;
constexpr long MaxReported = 10;
constexpr long MaxFailures = 100;

struct Options {
    std::string path, body, authority;
    sockaddr_in server{};
    long calls = 1000, connections = 1, in_flight = 1, expected = -1;
    double seconds = 0, limit = 120;
    bool split = false;
};

struct Connection {
    int socket;
    nghttp2_session* session = nullptr;
    std::string outgoing;
    size_t sent = 0;
    bool is_blocked = false;
};

struct Call {
    Connection* connection;
    std::string_view request;
    double began;
    size_t sent = 0;
    unsigned char prefix[PrefixSize] = {};
    size_t prefix_size = 0;
    uint32_t missing = 0;  // Bytes of the message whose prefix is complete.
    long messages = 0;
    int http_status = 0, grpc_status = -1;
    std::string grpc_message = {};

    bool IsWithinMessage() const { return prefix_size > 0; }

    void Receive(const uint8_t* data, size_t size) {
        while (size > 0) {
            if (prefix_size < PrefixSize) {
                size_t taken = std::min(PrefixSize - prefix_size, size);
                memcpy(prefix + prefix_size, data, taken);
                prefix_size += taken, data += taken, size -= taken;
                if (prefix_size < PrefixSize) return;
                missing = static_cast<uint32_t>(prefix[1]) << 24 | prefix[2] << 16 | prefix[3] << 8 | prefix[4];
            }
            size_t taken = std::min<size_t>(missing, size);
            missing -= taken, data += taken, size -= taken;
            if (missing == 0) messages++, prefix_size = 0;
        }
    }
};

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double ProcessorSeconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](const timeval& time) { return time.tv_sec + time.tv_usec / 1e6; };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

[[noreturn]] void Refuse(const std::string& reason) {
    fprintf(stderr, "%s\n%s", reason.c_str(), Usage);
    exit(2);
}

[[noreturn]] void Die(const char* what) {
    perror(what);
    exit(1);
}

/// The whole load: its calls, connections, and what came of them.
class Load {
public:
    explicit Load(const Options& options) : options_(options), messages_(Messages(options.body)) {
        if (options_.split && messages_.empty()) Refuse("BODY has no message; --split requires at least one.");
        if (!options_.split) messages_ = {options_.body}, messages_per_call_ = Messages(options.body).size();

        nghttp2_session_callbacks* callbacks;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, OnFrame);
        for (long i = 0; i < options_.connections; i++) connections_.push_back(Connect(callbacks));
        nghttp2_session_callbacks_del(callbacks);
    }

    /// Returns whether every call succeeded.
    bool Run() {
        double processor = ProcessorSeconds();
        began_ = Now();
        for (long i = 0; i < options_.in_flight; i++)
            for (auto& connection : connections_)
                if (HasMore()) Begin(connection.get());
        for (auto& connection : connections_) Send(connection.get());
        while (open_ > 0 && !is_broken_) {
            if (Now() - began_ > options_.seconds + options_.limit) {
                Fail(std::to_string(open_) + " calls have not ended within the time limit");
                break;
            }
            epoll_event events[64];
            int count = epoll_wait(epoll_, events, 64, 1000);
            for (int i = 0; i < count && !is_broken_; i++) {
                auto connection = static_cast<Connection*>(events[i].data.ptr);
                if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) Receive(connection);
                if (!is_broken_) Send(connection);
            }
        }
        Report(Now() - began_, ProcessorSeconds() - processor);
        return failed_ == 0;
    }

private:
    static std::vector<std::string_view> Messages(std::string_view body) {
        std::vector<std::string_view> messages;
        while (!body.empty()) {
            auto byte = [&](int i) { return static_cast<size_t>(static_cast<unsigned char>(body[i])); };
            size_t size = body.size() < PrefixSize ? SIZE_MAX : PrefixSize + (byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4));
            if (size > body.size()) Refuse("The last message of BODY is cut off; expected a flag, four bytes of length, and the message.");
            messages.push_back(body.substr(0, size));
            body.remove_prefix(size);
        }
        return messages;
    }

    std::unique_ptr<Connection> Connect(nghttp2_session_callbacks* callbacks) {
        auto connection = std::make_unique<Connection>();
        connection->socket = socket(AF_INET, SOCK_STREAM, 0);
        int on = 1;
        setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connect(connection->socket, reinterpret_cast<const sockaddr*>(&options_.server), sizeof options_.server)) Die("connect");
        fcntl(connection->socket, F_SETFL, O_NONBLOCK);
        nghttp2_session_client_new(&connection->session, callbacks, this);
        nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, Window}};
        nghttp2_submit_settings(connection->session, 0, settings, std::size(settings));
        nghttp2_session_set_local_window_size(connection->session, 0, 0, Window);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = connection.get();
        epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->socket, &event);
        return connection;
    }

    bool HasMore() const {
        if (failed_ >= MaxFailures) return false;
        return options_.seconds > 0 ? Now() - began_ < options_.seconds : begun_ < options_.calls;
    }

    void Begin(Connection* connection) {
        auto call = new Call{connection, messages_[begun_++ % messages_.size()], Now()};
        open_++;
        auto header = [](std::string_view name, std::string_view value) {
            auto bytes = [](std::string_view text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); };
            return nghttp2_nv{bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
        };
        nghttp2_nv headers[] = {
            header(":method", "POST"), header(":scheme", "http"), header(":path", options_.path), header(":authority", options_.authority),
            header("te", "trailers"), header("content-type", "application/grpc"), header("user-agent", "h2rg"),
        };
        nghttp2_data_provider body;
        body.source.ptr = call;
        body.read_callback = ReadBody;
        int result = nghttp2_submit_request(connection->session, nullptr, headers, std::size(headers), &body, call);
        if (result < 0) {
            fprintf(stderr, "A call cannot begin: %s\n", nghttp2_strerror(result));
            exit(1);
        }
    }

    void Send(Connection* connection) {
        auto& outgoing = connection->outgoing;
        bool is_blocked = false;
        while (!is_blocked) {
            const uint8_t* data;
            ssize_t size = 1;
            while (outgoing.size() - connection->sent < SendBuffer && (size = nghttp2_session_mem_send(connection->session, &data)) > 0)
                outgoing.append(reinterpret_cast<const char*>(data), size);
            if (size < 0) return Break(std::string("HTTP/2: ") + nghttp2_strerror(size));
            if (connection->sent == outgoing.size()) break;
            ssize_t written = write(connection->socket, outgoing.data() + connection->sent, outgoing.size() - connection->sent);
            is_blocked = written < 0 && errno == EAGAIN;
            if (written < 0 && !is_blocked) return Break(std::string("write: ") + strerror(errno));
            if (written > 0) connection->sent += written;
            if (connection->sent == outgoing.size()) outgoing.clear(), connection->sent = 0;
        }
        if (is_blocked == connection->is_blocked) return;
        connection->is_blocked = is_blocked;
        epoll_event event{};
        event.events = is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN;
        event.data.ptr = connection;
        epoll_ctl(epoll_, EPOLL_CTL_MOD, connection->socket, &event);
    }

    void Receive(Connection* connection) {
        static uint8_t buffer[256 * 1024];
        ssize_t size = read(connection->socket, buffer, sizeof buffer);
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) return Break("The server has closed the connection");
        ssize_t result = nghttp2_session_mem_recv(connection->session, buffer, size);
        if (result < 0) Break(std::string("HTTP/2: ") + nghttp2_strerror(result));
    }

    void End(Call* call, uint32_t error) {
        std::string reason;
        if (error) reason = std::string("reset: ") + nghttp2_http2_strerror(error);
        else if (call->http_status != 200) reason = ":status " + std::to_string(call->http_status);
        else if (call->grpc_status != 0) reason = "grpc-status " + std::to_string(call->grpc_status) + " " + call->grpc_message;
        else if (call->IsWithinMessage()) reason = "the last message is cut off";
        else if (call->sent < call->request.size()) reason = "answered before the whole request was sent";
        else if (options_.expected >= 0 && call->messages != options_.expected)
            reason = std::to_string(call->messages) + " messages; expected " + std::to_string(options_.expected);

        if (reason.empty()) succeeded_++;
        else Fail(reason);
        received_ += call->messages;
        durations_.push_back(static_cast<float>(Now() - call->began));
        open_--;
        auto connection = call->connection;
        delete call;
        if (HasMore()) Begin(connection);
    }

    void Fail(const std::string& reason) {
        if (failed_++ < MaxReported) fprintf(stderr, "%s\n", reason.c_str());
    }

    void Break(const std::string& reason) {
        Fail(reason);
        is_broken_ = true;
    }

    void Report(double seconds, double processor) {
        std::sort(durations_.begin(), durations_.end());
        auto microseconds = [&](double part) {
            if (durations_.empty()) return 0.0;
            return durations_[std::min(durations_.size() - 1, static_cast<size_t>(part * durations_.size()))] * 1e6;
        };
        long sent = succeeded_ * messages_per_call_;
        printf("seconds=%.4f calls=%ld calls_s=%.1f sent=%ld sent_s=%.0f received=%ld received_s=%.0f ", seconds, succeeded_,
               succeeded_ / seconds, sent, sent / seconds, received_, received_ / seconds);
        printf("p50_us=%.0f p90_us=%.0f p99_us=%.0f max_us=%.0f processor_seconds=%.2f failed=%ld\n", microseconds(.5), microseconds(.9),
               microseconds(.99), microseconds(1), processor, failed_);
    }

    static Call* CallOf(nghttp2_session* session, int32_t stream) {
        return static_cast<Call*>(nghttp2_session_get_stream_user_data(session, stream));
    }

    static ssize_t ReadBody(
        nghttp2_session*, int32_t, uint8_t* buffer, size_t size, uint32_t* flags, nghttp2_data_source* source, void*) {
        auto call = static_cast<Call*>(source->ptr);
        size_t taken = call->request.copy(reinterpret_cast<char*>(buffer), size, call->sent);
        call->sent += taken;
        if (call->sent == call->request.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
        return taken;
    }

    static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size, const uint8_t* value,
                        size_t value_size, uint8_t, void*) {
        auto call = CallOf(session, frame->hd.stream_id);
        if (!call) return 0;
        std::string_view key(reinterpret_cast<const char*>(name), name_size);
        std::string text(reinterpret_cast<const char*>(value), value_size);
        if (key == ":status") call->http_status = atoi(text.c_str());
        else if (key == "grpc-status") call->grpc_status = atoi(text.c_str());
        else if (key == "grpc-message") call->grpc_message = text;
        return 0;
    }

    static int OnData(nghttp2_session* session, uint8_t, int32_t stream, const uint8_t* data, size_t size, void*) {
        if (auto call = CallOf(session, stream)) call->Receive(data, size);
        return 0;
    }

    static int OnClose(nghttp2_session* session, int32_t stream, uint32_t error, void* load) {
        if (auto call = CallOf(session, stream)) static_cast<Load*>(load)->End(call, error);
        return 0;
    }

    static int OnFrame(nghttp2_session*, const nghttp2_frame* frame, void* load) {
        if (frame->hd.type == NGHTTP2_GOAWAY)
            static_cast<Load*>(load)->Fail(std::string("GOAWAY ") + nghttp2_http2_strerror(frame->goaway.error_code));
        return 0;
    }

    const Options& options_;
    std::vector<std::string_view> messages_;  // What the calls send, in turn.
    long messages_per_call_ = 1;
    std::vector<std::unique_ptr<Connection>> connections_;
    int epoll_ = epoll_create1(0);
    double began_ = 0;
    long begun_ = 0, open_ = 0, succeeded_ = 0, failed_ = 0, received_ = 0;
    bool is_broken_ = false;
    std::vector<float> durations_;
};

Options Parse(int argc, char** argv) {
    if (argc < 4) Refuse("METHOD, BODY and ADDRESS:PORT are required.");
    Options options;
    options.path = argv[1][0] == '/' ? argv[1] : std::string("/routeguide.RouteGuide/") + argv[1];
    std::ifstream file(argv[2], std::ios::binary);
    if (!file) Refuse(std::string(argv[2]) + ": " + strerror(errno));
    options.body.assign(std::istreambuf_iterator<char>(file), {});
    options.authority = argv[3];
    size_t colon = options.authority.rfind(':');
    std::string address = options.authority.substr(0, colon);
    options.server.sin_family = AF_INET;
    options.server.sin_port = htons(colon == std::string::npos ? 0 : atoi(options.authority.c_str() + colon + 1));
    if (options.server.sin_port == 0 || inet_pton(AF_INET, address.c_str(), &options.server.sin_addr) != 1)
        Refuse("The server is '" + options.authority + "'; expected an IPv4 address and a port, such as 127.0.0.1:50051.");
    for (int i = 4; i < argc; i++) {
        std::string option = argv[i];
        auto value = [&] {
            if (++i == argc) Refuse("The value of " + option + " is missing.");
            return atof(argv[i]);
        };
        if (option == "-n") options.calls = value();
        else if (option == "-s") options.seconds = value();
        else if (option == "-c") options.connections = value();
        else if (option == "-m") options.in_flight = value();
        else if (option == "--split") options.split = true;
        else if (option == "--expect") options.expected = value();
        else if (option == "--limit") options.limit = value();
        else Refuse("Unknown option: " + option);
    }
    return options;
}

}  // namespace

int main(int argc, char** argv) {
    Options options = Parse(argc, argv);
    return Load(options).Run() ? 0 : 1;
}
