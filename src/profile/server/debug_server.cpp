// debug_server.cpp - see debug_server.hpp. The server and what it says are tied together
// here, and STEADY_DEBUG is read.
#include "steady/profile/debug_server.hpp"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "../recorder.hpp"
#include "steady/core/fatal.hpp"
#include "steady/core/options.hpp"
#include "steady/profile/detail/in_pages.hpp"
#include "steady/profile/detail/web_pages.hpp"
#include "steady/profile/detail/web_server.hpp"
#include "steady/profile/profile.hpp"

namespace steady {

struct debug_server::handle {
    web::pages* pages;
    web::server_state* server;
};

namespace {

web::server_options options_of(const debug_server_options& o) noexcept {
    return {o.address,         o.any_address,     o.announce,
            o.own_descriptors, o.request_seconds, o.answer_seconds};
}

/// The pages go when the last thread that may speak has gone, so the server owns them.
web::site owned_site(web::pages& pages) noexcept {
    web::site site = web::make_site(pages);
    site.release = [](void* context) noexcept {
        web::drop_in_pages(static_cast<web::pages*>(context));
    };
    return site;
}

}  // namespace

bool debug_server::start(const debug_server_options& options) noexcept {
    if (running()) {
        std::snprintf(problem_, sizeof problem_,
                      "steady: profile: this debug server runs already, at %s.", address());
        return false;
    }
    stop();
    const profile::detail::unrecorded_scope ours;
    problem_[0] = '\0';
    std::unique_ptr<handle> made(new (std::nothrow) handle{});
    auto* const pages = web::make_in_pages<web::pages>();
    if (made == nullptr || pages == nullptr) {
        web::drop_in_pages(pages);
        std::snprintf(problem_, sizeof problem_, "steady: profile: no memory for a debug server.");
        return false;
    }
    profile::start();
    made->pages = pages;
    made->server =
        web::start_server(options_of(options), owned_site(*pages), true, problem_, sizeof problem_);
    if (made->server == nullptr) return false;
    handle_ = made.release();
    return true;
}

void debug_server::stop() noexcept {
    if (handle_ == nullptr) return;
    web::stop_server(handle_->server);
    delete handle_;
    handle_ = nullptr;
}

bool debug_server::running() const noexcept {
    return handle_ != nullptr && web::server_runs(handle_->server);
}

const char* debug_server::address() const noexcept {
    return handle_ != nullptr ? web::server_address(handle_->server) : "";
}

void debug_server::set_status(std::string_view status) noexcept {
    if (handle_ == nullptr) return;
    const std::lock_guard guard(handle_->pages->lock);
    const std::size_t length = std::min(status.size(), sizeof handle_->pages->status - 1);
    std::memcpy(handle_->pages->status, status.data(), length);
    handle_->pages->status[length] = '\0';
}

void start_debug_server_from_environment() noexcept {
    static std::atomic<bool> done{false};
    const heap_interface* const heap = profile::detail::heap();
    if (heap == nullptr) return;  // preloaded alone: there is nothing to tell about
    const debug_options& wanted = heap->options();
    if (wanted.http[0] == '\0') return;
    if (wanted.http_process != 0 && wanted.http_process != static_cast<std::uint64_t>(getpid()))
        return;
    if (done.exchange(true, std::memory_order_relaxed)) return;
    const profile::detail::unrecorded_scope ours;
    auto* const pages = web::make_in_pages<web::pages>();
    if (pages == nullptr) return;
    profile::start();
    debug_server_options options;
    options.address = wanted.http;  // static: lives as long as the process
    options.any_address = wanted.http_any;
    options.announce = true;
    char problem[512];
    // Never stopped: its threads end with the process.
    if (web::start_server(options_of(options), owned_site(*pages), false, problem,
                          sizeof problem) == nullptr) {
        std::fprintf(stderr, "%s\n", problem);
    }
}

}  // namespace steady
