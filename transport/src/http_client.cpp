#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fusebox/text/ascii.hpp>
#include <fusebox/text/file.hpp>
#include <fusebox/transport/http_client.hpp>

#include "http_request.hpp"

// CURLOPT_QUICK_EXIT, without which a hanging name server outlasts every deadline.
static_assert(LIBCURL_VERSION_NUM >= 0x075700, "fusebox needs libcurl 7.87 or newer");

namespace fusebox::transport {

namespace {

using Kind = HttpError::Kind;
using namespace std::chrono_literals;

std::unexpected<HttpError> error(Kind kind, std::string message) {
    return std::unexpected(HttpError{.kind = kind, .message = std::move(message)});
}

/// HttpRequest::status_decides
constexpr auto body_grace = 1s;

// --- one transfer ----------------------------------------------------------------------------------------------------

/// What libcurl's callbacks know and learn during one transfer.
struct Transfer {
    const HttpClientConfig& config;
    HttpResponse response{};
    std::size_t received{};  ///< bytes of all headers, also of interim responses, and of the body
    bool in_headers{true};
    bool too_large{false};
    bool refused_address{false};
    bool allowed_address{false};
    bool is_interim{false};                ///< the head that is being read, or was read last, is that of a 1xx
    std::optional<TimePoint> head_came{};  ///< when the head of the answer was whole
    std::array<char, CURL_ERROR_SIZE> detail{};

    bool fits(std::size_t more) noexcept {
        received += more;
        too_large = too_large || received > config.max_response_bytes;
        return !too_large;
    }
};

void read_header_line(Transfer& transfer, std::string_view line) {
    const std::string_view text = text::trimmed(line);
    Headers& headers = transfer.response.headers;
    if (line.starts_with("HTTP/") && (transfer.in_headers || transfer.response.body.empty())) {
        headers.clear();  // an interim response went before
        transfer.in_headers = true;
        const auto blank = line.find(' ');
        transfer.is_interim = blank != line.npos && line.substr(blank + 1).starts_with('1');
        transfer.head_came.reset();
    } else if (!transfer.in_headers) {
        return;  // a trailer
    } else if (text.empty()) {
        transfer.in_headers = false;
        if (!transfer.is_interim) transfer.head_came = std::chrono::steady_clock::now();
    } else if (line.front() == ' ' || line.front() == '\t') {
        if (!headers.empty()) headers.back().second.append(" ").append(text);  // a folded line, RFC 9112 §5.2
    } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
        headers.emplace_back(text::trimmed(text.substr(0, colon)), text::trimmed(text.substr(colon + 1)));
    }
}

/// Callbacks of libcurl: taking fewer bytes than offered ends the transfer with CURLE_WRITE_ERROR.
std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) noexcept {
    auto& transfer = *static_cast<Transfer*>(user);
    if (!transfer.fits(size)) return 0;
    try {
        read_header_line(transfer, {data, size});
    } catch (const std::bad_alloc&) {
        return 0;
    }
    return size;
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) noexcept {
    auto& transfer = *static_cast<Transfer*>(user);
    if (!transfer.fits(size)) return 0;
    try {
        transfer.response.body.append(data, size);
    } catch (const std::bad_alloc&) {
        return 0;
    }
    return size;
}

bool is_public(const sockaddr& address) noexcept {
    const void* bytes = nullptr;
    if (address.sa_family == AF_INET) bytes = &reinterpret_cast<const sockaddr_in&>(address).sin_addr;
    if (address.sa_family == AF_INET6) bytes = &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    std::array<char, INET6_ADDRSTRLEN> text{};
    return bytes && inet_ntop(address.sa_family, bytes, text.data(), text.size()) && is_public_address(text.data());
}

/// The guard: libcurl asks for a socket for each address that it is about to connect to.
curl_socket_t on_socket(void* user, curlsocktype, curl_sockaddr* address) noexcept {
    auto& transfer = *static_cast<Transfer*>(user);
    if (!transfer.config.addresses.allow_private && !is_public(address->addr)) {
        transfer.refused_address = true;
        return CURL_SOCKET_BAD;
    }
    transfer.allowed_address = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// --- handles ---------------------------------------------------------------------------------------------------------

/// An easy handle that holds the options of one request, and the multi handle that holds its connections.
struct Handle {
    std::unique_ptr<CURLM, Free<curl_multi_cleanup>> multi{curl_multi_init()};
    std::unique_ptr<CURL, Free<curl_easy_cleanup>> easy{curl_easy_init()};
};

/// The handles that no request uses, so that the next requests find their connections open. Thread contract: any member
/// from any thread. A handle that is taken belongs to one thread until that thread puts it back, so handles need no
/// lock.
class Pool {
public:
    explicit Pool(std::size_t most_idle) : most_idle_(most_idle) {}

    /// The most recently used handle, whose connections are the least likely to have been closed by their peers; a new
    /// one where none is idle.
    Handle take() {
        const std::lock_guard lock{mutex_};
        if (idle_.empty()) return {};
        Handle handle = std::move(idle_.back());
        idle_.pop_back();
        return handle;
    }

    void put_back(Handle handle) {
        const std::lock_guard lock{mutex_};
        if (idle_.size() < most_idle_) idle_.push_back(std::move(handle));
    }

private:
    const std::size_t most_idle_;
    std::mutex mutex_;  // guards idle_
    std::vector<Handle> idle_;
};

/// Runs the transfer of `handle` until it is over, late or no longer wanted. A refusal is timeout, cancelled or
/// internal.
std::expected<CURLcode, Kind> run(const Handle& handle, const Transfer& transfer, bool status_decides,
                                  TimePoint deadline, const std::stop_token& stop) {
    CURLM* multi = handle.multi.get();
    CURL* easy = handle.easy.get();
    if (curl_multi_add_handle(multi, easy) != CURLM_OK) return std::unexpected(Kind::internal);
    // Removing an unfinished transfer closes its connection; what is finished goes back to the connection cache.
    const auto remove = [multi](CURL* added) { curl_multi_remove_handle(multi, added); };
    const std::unique_ptr<CURL, decltype(remove)> added{easy, remove};
    // libcurl remembers a wake-up that comes when nobody is in poll, so none is lost.
    const std::stop_callback wake{stop, [multi] { curl_multi_wakeup(multi); }};

    for (;;) {
        int running = 0;
        if (curl_multi_perform(multi, &running) != CURLM_OK) return std::unexpected(Kind::internal);
        int left = 0;
        if (const CURLMsg* message = curl_multi_info_read(multi, &left)) return message->data.result;
        if (stop.stop_requested()) return std::unexpected(Kind::cancelled);
        const bool has_status = status_decides && transfer.head_came;
        const TimePoint end = has_status ? std::min(deadline, *transfer.head_came + body_grace) : deadline;
        const Duration remaining = end - std::chrono::steady_clock::now();
        if (remaining <= 0ns) return std::unexpected(Kind::timeout);
        const auto wait = std::chrono::ceil<std::chrono::milliseconds>(remaining).count();
        if (curl_multi_poll(multi, nullptr, 0, static_cast<int>(wait), nullptr) != CURLM_OK) {
            return std::unexpected(Kind::internal);
        }
    }
}

// --- errors ----------------------------------------------------------------------------------------------------------

/// TLS alerts by which the peer says that it wants another certificate of ours. From TLS 1.3 on they come after the
/// handshake, as read errors.
bool peer_rejects_our_certificate(std::string_view detail) {
    constexpr std::array<std::string_view, 6> alerts{"alert bad certificate", "alert unsupported certificate",
                                                     "alert certificate",     "alert unknown ca",
                                                     "alert unknown CA",      "alert access denied"};
    return std::ranges::any_of(alerts, [&](std::string_view alert) { return detail.find(alert) != detail.npos; });
}

HttpError describe(CURLcode code, const Transfer& transfer, CURL* easy, const std::string& place) {
    const std::string_view detail{transfer.detail.data()};
    const auto certificate = [&] {
        return HttpError{Kind::certificate, "no trust between us and " + place + ": " + std::string(detail)};
    };
    // libcurl has a limit of its own for one header line, and reports that as lack of memory (from 8.6 on as
    // TOO_LARGE).
    const bool endless_header = transfer.in_headers && transfer.received > 0 &&
                                (code == CURLE_OUT_OF_MEMORY || code == static_cast<CURLcode>(100));
    if (transfer.too_large || endless_header) {
        return {Kind::response_too_large, "the response of " + place + " is larger than allowed"};
    }
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
            return {Kind::resolve, "the host of " + place + " cannot be resolved"};
        case CURLE_COULDNT_CONNECT: {
            if (transfer.refused_address && !transfer.allowed_address) {
                return {Kind::blocked_address, place + " is not a public address, and others are not allowed here"};
            }
            long number = 0;
            curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
            const std::string why =
                number ? ": " + std::generic_category().message(static_cast<int>(number)) : std::string{};
            return {Kind::connect, "cannot connect to " + place + why};
        }
        case CURLE_OPERATION_TIMEDOUT:
            return {Kind::connect, "no connection to " + place + " in time"};
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_ISSUER_ERROR:
        case CURLE_SSL_CLIENTCERT:
            return certificate();
        case CURLE_SSL_CONNECT_ERROR:
        case CURLE_SSL_CIPHER:
        case CURLE_USE_SSL_FAILED:
        case CURLE_SSL_SHUTDOWN_FAILED:
            if (peer_rejects_our_certificate(detail)) return certificate();
            return {Kind::tls, "the TLS handshake with " + place + " failed"};
        case CURLE_GOT_NOTHING:
            return {Kind::reset, place + " closed the connection without an answer"};
        case CURLE_PARTIAL_FILE:
            return {Kind::reset, place + " closed the connection in the middle of its answer"};
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
            if (peer_rejects_our_certificate(detail)) return certificate();
            return {Kind::reset, "the connection to " + place + " broke"};
        case CURLE_UNSUPPORTED_PROTOCOL:   // an answer that is not HTTP/1
        case CURLE_BAD_FUNCTION_ARGUMENT:  // a header or trailer that is none
        case CURLE_WEIRD_SERVER_REPLY:
            return {Kind::reset, place + " does not answer in HTTP"};
        default:
            return {Kind::internal, "libcurl gave up on " + place + ": " + curl_easy_strerror(code)};
    }
}

// --- configuration ---------------------------------------------------------------------------------------------------

HttpClientConfig checked(HttpClientConfig config) {
    std::string wrong;
    const auto require = [&](bool good, const std::string& message) {
        if (!good) wrong += (wrong.empty() ? "" : "; ") + message;
    };
    // libcurl reads the file again for each connection, and would wait for the writer of a FIFO.
    const auto readable = [](const std::string& file) {
        return file.empty() || text::read_file(file, text::max_pem_bytes).has_value();
    };
    require(config.timeout > 0ns && config.timeout <= 24h, "timeout must be more than 0 and at most a day");
    require(config.connect_timeout > 0ns && config.connect_timeout <= 24h,
            "connect_timeout must be more than 0 and at most a day");
    require(config.max_redirects >= 0 && config.max_redirects <= 20, "max_redirects must be between 0 and 20");
    require(readable(config.ca_file), "ca_file cannot be read: " + config.ca_file);
    require(readable(config.client_certificate_file),
            "client_certificate_file cannot be read: " + config.client_certificate_file);
    require(readable(config.client_key_file), "client_key_file cannot be read: " + config.client_key_file);
    require(config.client_certificate_file.empty() == config.client_key_file.empty(),
            "client_certificate_file and client_key_file go together");
    require(is_header_value(config.user_agent), "user_agent has a control character in it");
    if (!wrong.empty()) throw std::invalid_argument("HttpClientConfig: " + wrong);
    return config;
}

/// Prepares libcurl, once in the process: the language sees to it that one thread does and the others wait. The
/// counterpart at exit is left to the operating system: no one can know that no other thread uses libcurl any more.
void prepare_libcurl() {
    static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) throw std::runtime_error(std::string("libcurl: ") + curl_easy_strerror(code));
}

}  // namespace

// --- the client ------------------------------------------------------------------------------------------------------

struct HttpClient::Impl {
    explicit Impl(HttpClientConfig chosen) : config(checked(std::move(chosen))), pool(config.max_idle_handles) {}

    [[nodiscard]] bool set_options(const Handle& handle, Transfer& transfer, const Target& target,
                                   const HttpRequest& request, const curl_slist* lines) const;
    std::expected<HttpResponse, HttpError> exchange(const Handle& handle, const Target& target,
                                                    const HttpRequest& request, const curl_slist* lines,
                                                    TimePoint deadline, const std::stop_token& stop,
                                                    std::string& redirected_to) const;

    const HttpClientConfig config;
    Pool pool;
};

bool HttpClient::Impl::set_options(const Handle& handle, Transfer& transfer, const Target& target,
                                   const HttpRequest& request, const curl_slist* lines) const {
    bool good = true;
    const auto set = [&](CURLoption option, auto value) {
        good = curl_easy_setopt(handle.easy.get(), option, value) == CURLE_OK && good;
    };
    const auto milliseconds = [](Duration time) {
        return static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(time).count());
    };
    set(CURLOPT_CURLU, target.url.get());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_PROXY, "");  // none, not even the environment's
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // do not wait for a name server that nobody waits for any more
    set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(config.connect_timeout));
    set(CURLOPT_ERRORBUFFER, transfer.detail.data());

    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!config.ca_file.empty()) {
        set(CURLOPT_CAINFO, config.ca_file.c_str());
        set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    }
    if (!config.client_certificate_file.empty()) {
        set(CURLOPT_SSLCERT, config.client_certificate_file.c_str());
        set(CURLOPT_SSLKEY, config.client_key_file.c_str());
    }

    set(CURLOPT_OPENSOCKETFUNCTION, &on_socket);
    set(CURLOPT_OPENSOCKETDATA, &transfer);
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, &transfer);
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, &transfer);

    set(CURLOPT_USERAGENT, config.user_agent.c_str());
    set(CURLOPT_HTTPHEADER, lines);
    if (request.method == "HEAD") {
        set(CURLOPT_NOBODY, 1L);
        return good;
    }
    if (!request.body.empty() || request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        set(CURLOPT_POSTFIELDS, request.body.c_str());
    }
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
    return good;
}

std::expected<HttpResponse, HttpError> HttpClient::Impl::exchange(const Handle& handle, const Target& target,
                                                                  const HttpRequest& request, const curl_slist* lines,
                                                                  TimePoint deadline, const std::stop_token& stop,
                                                                  std::string& redirected_to) const {
    Transfer transfer{.config = config};
    // Whatever happens, the handle forgets this request and keeps its connections.
    const std::unique_ptr<CURL, Free<curl_easy_reset>> forget{handle.easy.get()};
    if (!set_options(handle, transfer, target, request, lines)) {
        return error(Kind::internal, "libcurl does not take its options");
    }
    const std::expected<CURLcode, Kind> ended = run(handle, transfer, request.status_decides, deadline, stop);
    long status = 0;
    curl_easy_getinfo(handle.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    const bool is_decided = request.status_decides && transfer.head_came;
    if (!ended && !is_decided) {
        switch (ended.error()) {
            case Kind::timeout:
                return error(Kind::timeout, "no answer from " + target.place + " in time");
            case Kind::cancelled:
                return error(Kind::cancelled, "the request to " + target.place + " was cancelled");
            default:
                return error(ended.error(), "libcurl cannot run a transfer");
        }
    }
    CURL* easy = handle.easy.get();
    if (!is_decided && *ended != CURLE_OK) return std::unexpected(describe(*ended, transfer, easy, target.place));
    if (transfer.in_headers) {  // libcurl takes an end in the middle of the headers for the end of them
        return std::unexpected(describe(CURLE_PARTIAL_FILE, transfer, easy, target.place));
    }

    const char* location = nullptr;
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &location);
    redirected_to = location ? location : "";
    transfer.response.status = static_cast<int>(status);
    return std::move(transfer.response);
}

HttpClient::HttpClient(HttpClientConfig config) {
    prepare_libcurl();
    impl_ = std::make_unique<Impl>(std::move(config));
}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

std::expected<HttpResponse, HttpError> HttpClient::send(const HttpRequest& request, const CallContext& context) {
    if (!is_token(request.method) || text::equal_without_case(request.method, "CONNECT")) {
        return error(Kind::bad_request, "the method is not one that can be sent");
    }
    if (request.method == "HEAD" && !request.body.empty()) {
        return error(Kind::bad_request, "a HEAD request has no body");
    }
    std::expected<Target, HttpError> target = parse_target(request.url);
    if (!target) return std::unexpected(std::move(target.error()));
    const std::expected<HeaderLines, HttpError> lines = header_lines(request);
    if (!lines) return std::unexpected(lines.error());

    const Duration allowed = std::min(impl_->config.timeout, context.remaining().value_or(impl_->config.timeout));
    if (context.stop_requested()) return error(Kind::cancelled, "the request was cancelled before it was sent");
    if (allowed <= 0ns) return error(Kind::timeout, "the deadline had passed before the request was sent");
    const TimePoint deadline = std::chrono::steady_clock::now() + allowed;

    Handle handle = impl_->pool.take();
    if (!handle.multi || !handle.easy) return error(Kind::internal, "libcurl has no handle to give");
    HttpRequest followed;
    const HttpRequest* current = &request;
    std::expected<HttpResponse, HttpError> response;
    for (int redirects = 0;; ++redirects) {
        std::string location;
        response = impl_->exchange(handle, *target, *current, lines->get(), deadline, context.stop_token(), location);
        if (!response || location.empty() || redirects == impl_->config.max_redirects) break;
        std::expected<Target, HttpError> next = parse_target(location);
        if (!next || !next->same_origin(*target)) break;
        // As browsers do, and libcurl: 303 always turns into GET, 301 and 302 turn POST into GET.
        const int status = response->status;
        followed = *current;
        if ((status == 303 && followed.method != "HEAD") ||
            ((status == 301 || status == 302) && followed.method == "POST")) {
            followed.method = "GET";
            followed.body.clear();
        }
        current = &followed;
        target = std::move(next);
    }
    impl_->pool.put_back(std::move(handle));
    return response;
}

}  // namespace fusebox::transport
