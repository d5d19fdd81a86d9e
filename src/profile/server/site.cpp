// site.cpp - which path is answered by what.
#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <exception>
#include <iterator>
#include <new>

#include "embedded/index_page.hpp"
#include "steady/core/version.hpp"
#include "steady/profile/detail/report.hpp"
#include "steady/profile/detail/web_pages.hpp"

namespace steady::web {
namespace {

constexpr const char* html = "text/html; charset=utf-8";
constexpr const char* json = "application/json";
constexpr unsigned longest_wait = 300;          // seconds of one profile
constexpr std::uint64_t default_cpu_wait = 30;  // as Go

using speaker = void (*)(pages& context, const http_request& request, answer& out);

struct route {
    std::string_view path;
    pace how;
    speaker speak;
    bool takes_post = false;
};

// ---- Quick ones: no allocation (DS4).

void speak_index(pages&, const http_request&, answer& out) {
    out.content_type = html;
    out.fixed = embedded::index_page;
}

void speak_metrics(pages&, const http_request&, answer& out) {
    out.content_type = "text/plain; version=0.0.4; charset=utf-8";
    write_metrics(out.text);
}

void speak_memstats(pages&, const http_request&, answer& out) {
    out.content_type = json;
    write_memstats_json(read_memstats(), out.text);
}

void speak_health(pages& context, const http_request&, answer& out) {
    char status[sizeof context.status];
    {
        const std::lock_guard guard(context.lock);
        std::memcpy(status, context.status, sizeof status);
    }
    const bool ready = std::strcmp(status, "ready") == 0;
    out.status = ready ? 200 : 503;
    out.content_type = json;
    out.text.text("{\"status\":").json(status).text(",\"program\":");
    out.text.json(program_invocation_short_name).text(",\"pid\":");
    out.text.number(static_cast<std::uint64_t>(getpid())).text("}\n");
}

void speak_command_line(pages&, const http_request&, answer& out) {
    append_command_line(out.text);
    if (out.text.size() != 0) out.text.cut(out.text.size() - 1);  // Go ends with the last word
}

void speak_pprof_index(pages&, const http_request&, answer& out) {
    out.content_type = html;
    write_pprof_index(out.text);
}

void speak_history(pages& context, const http_request& request, answer& out) {
    bool found = false;
    out.content_type = json;
    context.rows.write(number_in(query_value(request.query, "after", found), 0), out.text);
}

void speak_statistics(pages&, const http_request&, answer& out) {
    out.content_type = json;
    const heap_statistics s = profile::read_heap_statistics();
    page_text& t = out.text;
    t.text("{\"heap_alloc\":").number(s.heap_alloc).text(",\"heap_objects\":");
    t.number(s.heap_objects).text(",\"large_bytes\":").number(s.large_bytes);
    t.text(",\"cached_bytes\":").number(s.cached_bytes).text(",\"by_size\":[");
    bool first = true;
    for (const auto& line : s.by_size) {
        t.text(first ? "{\"size\":" : ",{\"size\":").number(line.size);
        first = false;
        t.text(",\"mallocs\":").number(line.mallocs).text(",\"frees\":").number(line.frees);
        t.text(",\"spans\":").number(line.spans).text(",\"span_bytes\":");
        t.number(line.span_bytes).character('}');
    }
    t.text("]}");
}

void speak_facts(pages&, const http_request&, answer& out) {
    const process_facts p = read_process_facts();
    const profile::counters c = profile::read_counters();
    page_text command;
    append_command_line(command);
    for (std::size_t i = 0; i < command.size(); ++i) {
        if (command.data()[i] == '\0') command.data()[i] = ' ';
    }
    out.content_type = json;
    page_text& t = out.text;
    t.text("{\"program\":").json(program_invocation_short_name);
    t.text(",\"pid\":").number(static_cast<std::uint64_t>(getpid()));
    t.text(",\"command\":").json(command.view().substr(0, 400));
    t.text(",\"start_time\":").real(p.start_time).text(",\"now\":");
    t.number(std::int64_t{std::time(nullptr)}).text(",\"cpu_seconds\":").real(p.cpu_seconds);
    t.text(",\"peak_rss\":").number(p.peak_resident).text(",\"threads\":").number(p.threads);
    t.text(",\"steady\":")
        .json(version())
        .text(",\"sampling\":")
        .text(c.running ? "true" : "false");
    t.text(",\"rate\":").number(profile::rate()).text(",\"samples\":").number(c.samples);
    t.text(",\"live_samples\":").number(c.live_samples).text(",\"lost\":").number(c.lost);
    t.text(",\"unsampled_live\":").number(c.unsampled_live).text("}");
}

// ---- Slow ones.

struct wanted_profile {
    profile::options how;
    bool as_text = false;
    const char* problem = nullptr;
};

wanted_profile read_wishes(const http_request& request, profile::kind what) {
    wanted_profile wish;
    bool found = false;
    const std::string_view text = query_value(request.query, "seconds", found);
    const std::uint64_t seconds = found ? number_in(text, ~std::uint64_t{0}) : 0;
    if (seconds > longest_wait) {
        wish.problem = "seconds is a number from 1 to 300";
        return wish;
    }
    wish.how.seconds = static_cast<unsigned>(seconds);
    if (what == profile::kind::cpu && wish.how.seconds == 0) wish.how.seconds = default_cpu_wait;
    wish.how.gc = number_in(query_value(request.query, "gc", found), 0) != 0;
    const std::string_view symbols = query_value(request.query, "symbolize", found);
    wish.how.symbolize = !(symbols == "no" || symbols == "none" || symbols == "0");
    wish.as_text = number_in(query_value(request.query, "debug", found), 0) != 0;
    return wish;
}

template <profile::kind What>
void speak_profile(pages&, const http_request& request, answer& out) {
    const wanted_profile wish = read_wishes(request, What);
    if (wish.problem != nullptr) return refuse(out, 400, wish.problem);
    if (wish.as_text) {
        write_profile_text(What, profile::snapshot(What, wish.how), out.text);
        return;
    }
    out.bytes = profile::write_pprof(What, wish.how);
    out.content_type = "application/octet-stream";
    out.filename = What == profile::kind::cpu ? "profile" : profile::name(What);
}

/// Addresses to names, for a pprof that was given addresses alone.
void speak_symbol(pages&, const http_request& request, answer& out) {
    out.text.text("num_symbols: 1\n");
    std::string_view list = request.method == "POST" ? request.body : request.query;
    while (!list.empty()) {
        const std::size_t end = list.find('+');
        const std::string word(list.substr(0, end));
        errno = 0;
        char* rest = nullptr;
        const unsigned long long address = std::strtoull(word.c_str(), &rest, 16);
        Dl_info found{};
        if (errno == 0 && rest != word.c_str() && address != 0 &&
            dladdr(reinterpret_cast<void*>(address), &found) != 0 && found.dli_sname != nullptr) {
            out.text.hex(address).character(' ').text(found.dli_sname).character('\n');
        }
        if (end == std::string_view::npos) break;
        list.remove_prefix(end + 1);
    }
}

void speak_top(pages&, const http_request& request, answer& out) {
    bool found = false;
    const std::uint64_t most = number_in(query_value(request.query, "n", found), 20);
    out.content_type = json;
    write_top_json(profile::snapshot(profile::kind::heap), most < 500 ? most : 500, out.text);
}

void speak_flame(pages&, const http_request&, answer& out) {
    out.content_type = html;
    write_flame_page(profile::snapshot(profile::kind::heap), out.text);
}

constexpr route routes[] = {
    {"/", pace::quick, speak_index},
    {"/metrics", pace::quick, speak_metrics},
    {"/memstats", pace::quick, speak_memstats},
    {"/healthz", pace::quick, speak_health},
    {"/debug/pprof/", pace::quick, speak_pprof_index},
    {"/debug/pprof", pace::quick, speak_pprof_index},
    {"/debug/pprof/heap", pace::slow, speak_profile<profile::kind::heap>},
    {"/debug/pprof/allocs", pace::slow, speak_profile<profile::kind::allocs>},
    {"/debug/pprof/growth", pace::slow, speak_profile<profile::kind::growth>},
    {"/debug/pprof/retained", pace::slow, speak_profile<profile::kind::retained>},
    {"/debug/pprof/profile", pace::timed, speak_profile<profile::kind::cpu>},
    {"/debug/pprof/cmdline", pace::quick, speak_command_line},
    {"/debug/pprof/symbol", pace::slow, speak_symbol, true},
    {"/debug/flame", pace::slow, speak_flame},
    {"/debug/steady/history", pace::quick, speak_history},
    {"/debug/steady/statistics", pace::quick, speak_statistics},
    {"/debug/steady/facts", pace::quick, speak_facts},
    {"/debug/steady/top", pace::slow, speak_top},
};

const route* find_route(std::string_view path) noexcept {
    for (const route& r : routes) {
        if (r.path == path) return &r;
    }
    return nullptr;
}

bool method_fits(const route& r, std::string_view method) noexcept {
    return method == "GET" || method == "HEAD" || (r.takes_post && method == "POST");
}

pace pace_of(const http_request& request) noexcept {
    const route* const r = find_route(request.path);
    if (r == nullptr || !method_fits(*r, request.method)) return pace::quick;
    bool found = false;
    static_cast<void>(query_value(request.query, "seconds", found));
    return r->how == pace::slow && found ? pace::timed : r->how;
}

void refuse_path(answer& out) noexcept {
    refuse(out, 404, "There is no such page here. There are:");
    for (const route& r : routes) {
        if (!r.path.starts_with("/debug/steady/")) out.text.text(r.path).character('\n');
    }
}

void speak(void* context, const http_request& request, answer& out) noexcept {
    const route* const r = find_route(request.path);
    if (r == nullptr) return refuse_path(out);
    if (!method_fits(*r, request.method)) {
        refuse(
            out, 405,
            r->takes_post ? "this page takes GET, HEAD and POST" : "this page takes GET and HEAD");
        out.allow = r->takes_post ? "GET, HEAD, POST" : "GET, HEAD";
        return;
    }
    try {
        r->speak(*static_cast<pages*>(context), request, out);
    } catch (const std::bad_alloc&) {
        out = answer{};
        refuse(out, 503, "no memory for the answer");
    } catch (const std::exception& problem) {
        out = answer{};
        refuse(out, 500, problem.what());
    } catch (...) {
        out = answer{};
        refuse(out, 500, "making the answer failed");
    }
}

void tick(void* context) noexcept {
    static_cast<pages*>(context)->rows.add(read_history_row());
}

}  // namespace

site make_site(pages& context) noexcept {
    return {&context, pace_of, speak, tick};
}

}  // namespace steady::web
