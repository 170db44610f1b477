// The page of a report: one HTML file for the browser, also offline, in a light or a dark room, on
// a phone and on paper. Pointing at a token lights up what it attended to.
#pragma once

#include <string>

#include "examples/report/report.h"

namespace regrad::example {

// The page itself is page.html, page.css and page*.js, which autograd/trace/embed.py joins when the
// program is built; the report goes into it as JSON. Its Content-Security-Policy lets it ask for
// nothing and run no other script, whatever a text holds. Weights are rounded to thousandths and
// curves thinned to 500 points. Throws Error where a map is inconsistent (check_map).
std::string to_page(const Report& report);

}  // namespace regrad::example
