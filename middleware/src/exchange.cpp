#include "exchange.hpp"

#include <algorithm>
#include <exception>
#include <optional>
#include <string>

#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/ascii.hpp>

#include "chunk_reader.hpp"
#include "content_coding.hpp"
#include "response_text.hpp"

namespace fusebox::middleware {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// A refused body is read for so long, and so far, and dropped: a client that writes first and reads later would else
/// see a broken connection instead of the answer, and could not use the connection again.
constexpr milliseconds refused_body_timeout{1000};
constexpr std::uint64_t max_refused_bytes = 16U << 20U;

/// An answer of so many bytes does not count as memory: that of a health check, a list of usual length.
constexpr std::size_t always_sent_bytes = 64U << 10U;

std::chrono::sys_seconds second_now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

bool may_have_body(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

Response busy(std::string detail) {
    return problem_response(
        Problem{.status = 503, .detail = std::move(detail), .retry_after = std::chrono::seconds{1}});
}

/// Where the body ends, whichever way the head says so.
class BodyReader {
public:
    explicit BodyReader(const MessageHead& head) : chunked_(head.chunked), left_(head.length.value_or(0)) {}

    ChunkReader::Step next(std::string_view bytes) {
        if (chunked_) return chunks_.next(bytes);
        const auto data = bytes.substr(0, std::min<std::uint64_t>(left_, bytes.size()));
        left_ -= data.size();
        const auto state = left_ == 0 ? ChunkReader::State::complete : ChunkReader::State::more;
        return {.state = state, .consumed = data.size(), .data = data};
    }

private:
    const bool chunked_;
    std::uint64_t left_;
    ChunkReader chunks_;
};

class Exchange {
public:
    Exchange(const Serving& serving, Connection& connection, bool last)
        : serving_(serving),
          options_(serving.options),
          connection_(connection),
          last_(last),
          read_until_(connection.head_began() + options_.request_timeout),
          head_(connection.take_head()),
          complete_(!head_.has_body()) {
        request_.method = head_.method;
        request_.path = path_of(head_.target);
        request_.remote_address = connection.remote_address();
        request_.headers = std::move(head_.headers);
        accepts_gzip_ = accepts_gzip(request_.header("Accept-Encoding"));
    }

    After run() {
        MemoryBudget::Share share{serving_.memory};
        check_before_body();
        if (decoder_ && !share.grow(ContentDecoder::most_bytes))
            refusal_ = busy("too many bodies are being read at once");
        if (head_.has_body()) {
            // Who asked before sending, and is refused, does not send.
            complete_ = !(refusal_ && (head_.expects_continue || read_nothing_)) && ask_for_body() && read_body(share);
        }
        if (!refusal_) check_memory(share);
        return answer(refusal_ ? *refusal_ : run_handler(share));
    }

    /// An exception of guard or handler becomes a 500 that says nothing about the inside.
    After fail(std::string_view what) {
        if (options_.on_exception) options_.on_exception(request_, what);
        return answer(problem_response(500, "the service could not do its part; its log says why"));
    }

private:
    [[nodiscard]] std::size_t body_limit() const {
        return std::min(route_ ? route_->max_body_bytes.value_or(options_.max_body_bytes) : options_.max_body_bytes,
                        options_.max_body_bytes);
    }

    [[nodiscard]] Response too_large() const {
        return problem_response(413, "the body is larger than " + std::to_string(body_limit()) + " bytes");
    }

    /// Sets `route_` or `refusal_`.
    void check_before_body() {
        if (head_.has_body() && !may_have_body(head_.method)) {
            read_nothing_ = true;
            refusal_ = problem_response(400, "a body is not taken with this method");
            return;
        }
        auto found = serving_.router.find(request_, head_.target);
        if (!found) {
            refusal_ = std::move(found.error());
        } else {
            route_ = *found;
            if (route_->guard) refusal_ = route_->guard(request_);
        }
        const auto length = head_.length.value_or(0);
        read_nothing_ = length > body_limit() + max_refused_bytes;
        if (!refusal_ && length > body_limit()) refusal_ = too_large();
        if (!refusal_ && head_.has_body()) refusal_ = choose_decoder();
    }

    std::optional<Response> choose_decoder() {
        if (request_.header("Content-Type").starts_with("multipart/")) {
            return problem_response(415, "multipart bodies are not taken");
        }
        const auto coding = request_.header("Content-Encoding");
        if (coding.empty() || text::equal_without_case(coding, "identity")) return std::nullopt;
        decoder_ = make_content_decoder(coding);
        if (decoder_) return std::nullopt;
        return problem_response(415, "the Content-Encodings taken are gzip, deflate and br");
    }

    /// False: the peer is gone.
    bool ask_for_body() {
        if (!head_.expects_continue) return true;
        return connection_.write("HTTP/1.1 100 Continue\r\n\r\n", options_.io_timeout, read_until_);
    }

    /// Reads the body into the request or, where the request is refused, past it. True: all of it has been read.
    bool read_body(MemoryBudget::Share& share) {
        BodyReader body{head_};
        std::uint64_t refused_bytes = 0;
        if (refusal_) shorten();
        for (;;) {
            const auto step = body.next(connection_.received());
            if (refusal_) {
                refused_bytes += step.consumed;
            } else if (auto refusal = take(step.data, share)) {
                refuse_body(std::move(*refusal));
            }
            connection_.consume(step.consumed);
            if (step.state == ChunkReader::State::complete) break;
            if (step.state == ChunkReader::State::malformed) return end_body("the chunks of the body are malformed");
            if (refused_bytes > max_refused_bytes) return false;
            if (connection_.received().empty() && !receive_more()) return false;
        }
        if (!refusal_ && decoder_ && decoded_ != ContentDecoder::State::complete) {
            refuse_body(problem_response(400, "the compressed body ends early"));
        }
        return true;
    }

    /// Who takes long to send or to read goes on while nobody else is in need.
    [[nodiscard]] bool must_yield(Clock::time_point since) const {
        return Clock::now() - since > options_.thread_timeout / 2 && serving_.others_wait();
    }

    bool receive_more() {
        const auto must_stop = [&] { return must_yield(began_) || Clock::now() >= serving_.stopping.give_up_at(); };
        if (Clock::now() >= read_until_) return end_body("the body came too slowly", 408);
        const auto step = connection_.receive();
        if (step == Connection::Step::done) return true;
        if (step == Connection::Step::ended) return end_body("the body ended early");
        const auto silence = Clock::now() + options_.io_timeout;
        if (connection_.wait(step, std::min(read_until_, silence), must_stop)) return true;
        return must_stop() ? end_body_for_others() : end_body("the body came too slowly", 408);
    }

    std::optional<Response> take(std::string_view data, MemoryBudget::Share& share) {
        const auto limit = body_limit();
        received_ += data.size();
        if (received_ > limit) return too_large();
        const auto before = request_.body.size();
        if (!decoder_) {
            if (before == 0) request_.body.reserve(std::min<std::uint64_t>(head_.length.value_or(0), limit));
            request_.body += data;
        } else if (!data.empty()) {
            decoded_ = decoder_->decode(data, request_.body, limit);
            if (decoded_ == ContentDecoder::State::too_large) return too_large();
            if (decoded_ == ContentDecoder::State::malformed) {
                return problem_response(400, "the body is not encoded as its Content-Encoding says");
            }
        }
        if (!share.grow(request_.body.size() - before)) return busy("too many bodies are being read at once");
        return std::nullopt;
    }

    void refuse_body(Response refusal) {
        refusal_ = std::move(refusal);
        request_.body = {};
        request_.body.shrink_to_fit();
        shorten();
    }

    bool end_body(std::string_view detail, int status = 400) {
        if (!refusal_) refuse_body(problem_response(status, std::string{detail}));
        return false;
    }

    bool end_body_for_others() {
        if (!refusal_) refuse_body(busy("the body came slowly, and others waited or the service stops"));
        return false;
    }

    void shorten() { read_until_ = std::min(read_until_, Clock::now() + refused_body_timeout); }

    /// What a parser will build from JSON takes many times its bytes; it belongs to the budget too.
    void check_memory(MemoryBudget::Share& share) {
        const auto values = measure_json(request_.body).values;
        if (values > max_json_values) return;  // check_json_body refuses it, and says so better
        if (!share.grow(values * bytes_per_json_value + request_.body.size() * bytes_per_json_byte)) {
            refusal_ = busy("too many bodies are being parsed at once");
        }
    }

    [[nodiscard]] Response run_handler(MemoryBudget::Share& share) const {
        auto response = route_->handler(request_);
        // Once as it is, once as it is sent. What has changed something is told so in any case.
        const bool is_bounded = request_.method == "GET" && response.body.size() > always_sent_bytes;
        if (is_bounded && !share.grow(2 * response.body.size())) {
            return busy("too many large answers are being sent at once");
        }
        return response;
    }

    After answer(const Response& response) {
        if (options_.on_exchange) options_.on_exchange(request_, response, Clock::now() - began_);
        const bool keep = complete_ && head_.keep_alive && !last_ && !serving_.stopping.begun();
        const auto text = response_text(response, {.now = second_now(),
                                                   .head_only = head_.method == "HEAD",
                                                   .http_1_0 = head_.http_1_0,
                                                   .gzip = accepts_gzip_,
                                                   .keep_alive = keep,
                                                   .keep_alive_timeout = options_.keep_alive});
        const auto since = Clock::now();
        const bool sent = connection_.write(text, options_.io_timeout, since + options_.request_timeout,
                                            [&] { return must_yield(since); });
        if (!sent) return After::close;
        if (keep) return After::keep;
        return complete_ ? After::close : After::leave;
    }

    const Serving& serving_;
    const HttpServerOptions& options_;
    Connection& connection_;
    const bool last_;
    const Clock::time_point began_ = Clock::now();
    Clock::time_point read_until_;
    MessageHead head_;  ///< without its headers, which the request has
    bool complete_;     ///< all of the body has been read
    Request request_;
    bool accepts_gzip_{};
    const Route* route_{};
    std::optional<Response> refusal_;
    bool read_nothing_{};  ///< the body is not even worth dropping
    std::unique_ptr<ContentDecoder> decoder_;
    ContentDecoder::State decoded_{ContentDecoder::State::more};
    std::uint64_t received_{};  ///< of the body, as sent
};

}  // namespace

After exchange(const Serving& serving, Connection& connection, bool last) {
    Exchange it{serving, connection, last};
    try {
        return it.run();
    } catch (const std::exception& exception) {
        return it.fail(exception.what());
    } catch (...) {
        return it.fail("an exception of unknown type");
    }
}

void refuse(const Serving& serving, Connection& connection, const Refusal& refusal) {
    constexpr int unavailable = 503;
    Request request;
    request.remote_address = connection.remote_address();
    if (connection.look_for_head() == Connection::Head::whole) {
        request.method = connection.head().method;
        request.path = path_of(connection.head().target);
    }
    const auto response = refusal.status == unavailable ? busy(std::string{refusal.detail})
                                                        : problem_response(refusal.status, std::string{refusal.detail});
    if (serving.options.on_exchange) serving.options.on_exchange(request, response, Duration::zero());
    const auto text = response_text(response, {.now = second_now()});
    std::string_view bytes = text;
    connection.send(bytes);
}

}  // namespace fusebox::middleware
