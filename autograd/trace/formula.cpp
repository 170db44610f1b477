#include "autograd/trace/formula.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "trace_formulas.h"

namespace regrad {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t end = 0; !text.empty() || !parts.empty(); text.remove_prefix(end + 1)) {
    end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
  }
  return parts;
}

}  // namespace

Formula formula_of(const std::string& op) {
  const auto* const found = std::find_if(std::begin(trace_formulas), std::end(trace_formulas),
                                         [&](const TraceFormula& one) { return one.name == op; });
  if (found == std::end(trace_formulas)) return {};
  return {found->formula, split(found->parameters, ','), split(found->derivatives, ';')};
}

}  // namespace regrad
