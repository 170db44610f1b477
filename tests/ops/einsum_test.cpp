// Products and sums over named dimensions: ops/einsum.cpp.
#include "tests/ops/case.h"

using namespace regrad;

namespace {

TEST_SUITE_BEGIN("ops");

TEST_CASE("einsum") {
  struct Spec {
    const char* text;
    std::vector<In> inputs;
  };
  const std::vector<Spec> specs = {
      {"ij->ji", {in({2, 3})}},
      {"ij->", {in({2, 3})}},
      {"ij->j", {in({2, 3})}},
      {"ii->i", {in({3, 3})}},
      {"ii->", {in({3, 3})}},
      {"iij->j", {in({3, 3, 2})}},
      {"i,j->ij", {in({2}), in({3})}},
      {"ij,ij->", {in({2, 3}), in({2, 3})}},
      {"ij,jk->ik", {in({2, 3}), in({3, 4})}},
      {"ij,jk->ki", {in({2, 3}), in({3, 4})}},
      {"bij,bjk->bik", {in({2, 3, 4}), in({2, 4, 5})}},
      {"bqhd,bkhd->bhqk", {in({2, 3, 2, 4}), in({2, 5, 2, 4})}},
      {"bhqk,bkhd->bqhd", {in({2, 2, 3, 5}), in({2, 5, 2, 4})}},
      {"ij,kl->jl", {in({2, 3}), in({4, 5})}},
      {"ij,jk,kl->il", {in({2, 3}), in({3, 4}), in({4, 2})}},
      {"i,ij,j->", {in({2}), in({2, 3}), in({3})}},
      {"bi,oij,bj->bo", {in({2, 3}), in({5, 3, 4}), in({2, 4})}},
      {"ij,ji->", {in({2, 3}), in({3, 2})}},
      {"Ab,bA->bA", {in({2, 3}), in({3, 2})}},
  };
  for (const Spec& spec : specs) {
    const std::string text = spec.text;
    check_case({"einsum " + text, [text](const Tensors& x) { return einsum(text, x); },
                twin::einsum(text), spec.inputs});
  }
  const Tensor a = to_tensor(numbers(in({2, 3}), 0)), b = to_tensor(numbers(in({3, 4}), 1));
  CHECK(same_bits(einsum("ij,jk", {a, b}), einsum("ij,jk->ik", {a, b})));
  CHECK(same_bits(einsum(" i j , j k -> i k ", {a, b}), einsum("ij,jk->ik", {a, b})));
  CHECK(same_bits(einsum("ba", {a}), transpose(a)));
}

TEST_CASE("einsum of dimensions without letters") {
  struct Dotted {
    const char *text, *meaning;  // with letters
    std::vector<In> inputs;
  };
  const std::vector<Dotted> specs = {
      {"...ij,...jk->...ik", "aij,ajk->aik", {in({2, 3, 4}), in({2, 4, 5})}},
      {"...ij,jk->...ik", "abij,jk->abik", {in({2, 3, 2, 4}), in({4, 5})}},
      {"i...->...", "iab->ab", {in({4, 2, 3})}},
      {"i...->...i", "iab->abi", {in({4, 2, 3})}},
      {"...->", "ab->", {in({2, 3})}},
      {"i...j->ij", "iaj->ij", {in({2, 3, 4})}},
      {"...i,...i->...", "i,i->", {in({3}), in({3})}},
      {"a...,b...->ab...", "ac,bdc->abdc", {in({2, 3}), in({4, 2, 3})}},
      {"...ii->...i", "aii->ai", {in({2, 3, 3})}},
  };
  for (const Dotted& spec : specs) {
    const std::string text = spec.text;
    check_case({"einsum " + text, [text](const Tensors& x) { return einsum(text, x); },
                twin::einsum(spec.meaning), spec.inputs});
  }
  check_case({"einsum of a size of 1",
              OP(einsum("...i,...i->...", {x[0], x[1]})),
              TWIN(twin::einsum("aci,bi->ab", x)),
              {in({4, 1, 3}), in({2, 3})},
              Empty::untested});
  const Tensor a = to_tensor(numbers(in({2, 3, 4}), 0)), b = to_tensor(numbers(in({4, 5}), 1));
  CHECK(same_bits(einsum("...j,jk", {a, b}), einsum("...j,jk->...k", {a, b})));
  CHECK_ERROR(einsum("..j", {a}), "einsum: '.' in \"..j\" is not a letter");
  CHECK_ERROR(einsum("...i...", {a}), "einsum: ");
  CHECK_ERROR(einsum("...abcd", {a}), "einsum: \"...abcd\" gives operand 0 more letters than");
  CHECK_ERROR(einsum("...i,...i->...", {a, b}), "einsum: ");
}

TEST_SUITE_END();

}  // namespace
