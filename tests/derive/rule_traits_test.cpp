// SPDX-License-Identifier: Apache-2.0
// What plans, files and steps ask of a rule, whatever its type.
#include <symopt/derive/update.hpp>
#include <symopt/frame/frame_average.hpp>
#include <symopt/group/named_groups.hpp>
#include <symopt/group/product.hpp>
#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/optimizer/adamw.hpp>
#include <symopt/optimizer/rule_traits.hpp>

#include <doctest/doctest.h>
#include <boost/hana/adapt_struct.hpp>

#include <string>
#include <vector>

namespace rules_of_the_test {

/// Shows its options, one of them a map with options of its own.
struct Shown {
  double strength = 0.5;
  int order = 3;
  symopt::RowNorm inner{.eps = 0.25};

  void options(auto&& field) {
    field("strength", strength);
    field("order", order);
    field("inner", inner);
  }
  symopt::Matrix<float> operator()(const symopt::Matrix<float>& block) const { return block; }
};
struct Adapted {
  double strength = 0.5;
  symopt::Matrix<float> operator()(const symopt::Matrix<float>& block) const { return block; }
};
struct Plain {
  symopt::Matrix<float> operator()(const symopt::Matrix<float>& block) const { return block; }
};
/// Not what its type is called.
struct Named : Adapted {
  static std::string name() { return "Renamed<Rows>"; }
  void options(auto&& field) { field("strength", strength); }
};
/// Without a word about how it is mirrored.
struct UnderShift : Plain {
  using group = symopt::LmHead;
};

}  // namespace rules_of_the_test

BOOST_HANA_ADAPT_STRUCT(rules_of_the_test::Adapted, strength);

namespace rule_traits_test { namespace {

using namespace symopt;
using namespace rules_of_the_test;
using namespace symopt::detail;
using Hybrid = Update<Router, Then<RowNorm, DualNorm<Spectral<>>>>;

TEST_CASE("an update and a composition show their stages, any other rule itself") {
  const auto stages = [](const auto& rule) {
    std::vector<std::string> names;
    for_each_stage(rule, [&]<class Stage>(const Stage&) { names.push_back(detail::type_name<Stage>()); });
    return names;
  };
  CHECK(stages(Hybrid()) == std::vector<std::string>{"RowNorm", "DualNorm<Spectral>"});
  CHECK(stages(Then<Then<Sign, RowNorm>, Identity>()) ==
        std::vector<std::string>{"Sign", "RowNorm", "Identity"});
  CHECK(stages(Update<Embedding>()) == std::vector<std::string>{"RowNorm"});
  CHECK(stages(AdamW()) == std::vector<std::string>{"AdamW"});
  CHECK(stages(Plain()) == std::vector<std::string>{"Plain"});
}

TEST_CASE("a rule's text has the projections that its group derived") {
  CHECK(rule_text(Update<Embedding>()) == "RowNorm");
  CHECK(rule_text(Update<LmHead>()) == "P > RowNorm > P");
  CHECK(rule_text(Hybrid()) == "P > RowNorm > P > DualNorm<Spectral> > P");
  CHECK(rule_text(Update<LmHead, Then<FrobeniusNorm, RowNorm>>()) == "P > FrobeniusNorm > RowNorm > P");
  CHECK(rule_text(Then<RowNorm, Sign>()) == "Then<RowNorm, Sign>");
  CHECK(rule_text(Named()) == "Renamed<Rows>");
  CHECK(rule_options_text(Named()) == "Renamed<Rows>.strength=0.5");
  CHECK(rule_group_text<Update<LmHead>>() == "LmHead: S x O + shift");
  CHECK(rule_group_text<AdamW>() == "B x B");
  CHECK(rule_group_text<Plain>() == "unclaimed");
  CHECK(method_text(Update<HiddenMatrix>(), {300, 200}).starts_with("minimax"));
  CHECK(method_text(Hybrid(), {300, 200}).starts_with("minimax"));
  CHECK(method_text(Update<LmHead>(), {300, 200}).empty());
}

TEST_CASE("a rule's options are those that its stages show, in whichever way") {
  CHECK(rule_options_text(AdamW{.beta2 = 0.99}) == "AdamW.beta1=0.9, AdamW.beta2=0.99, AdamW.eps=1e-08");
  CHECK(rule_options_text(Then<RowNorm, DualNorm<Sign>>()) == "RowNorm.eps=1e-08, DualNorm<Sign>.alpha=1");
  CHECK(rule_options_text(Shown{}) == "Shown.strength=0.5, Shown.order=3, RowNorm.eps=0.25");
  CHECK(rule_options_text(Adapted{}) == "Adapted.strength=0.5");
  CHECK(rule_options_text(Plain{}).empty());
  CHECK(rule_options_text(Update<HiddenMatrix>()).empty());
  CHECK(rule_options_text(FrameAveraged<Embedding, AdamW>()) ==
        "FrameAveraged<Embedding, AdamW>.memory=0.95, FrameAveraged<Embedding, AdamW>.tie=0, "
        "AdamW.beta1=0.9, AdamW.beta2=0.999, AdamW.eps=1e-08");
}

TEST_CASE("what may throw is a rule that is only called, on its own or as a stage") {
  CHECK_FALSE(rule_may_throw<Update<HiddenMatrix>, float>);
  CHECK_FALSE(rule_may_throw<AdamW, double>);
  CHECK(rule_may_throw<Plain, float>);
  CHECK(rule_may_throw<Then<RowNorm, FrameAveraged<Embedding, Sign>>, float>);
  CHECK(rule_may_throw<FrameAveraged<Embedding, AdamW>, float>);
}

TEST_CASE("a projection comes with the group, and goes with the pipeline") {
  const auto same = []<class A, class B>(A, B) { return std::same_as<A, B>; };
  const Update<LmHead> head;
  CHECK(same(projection_of<Update<LmHead>>(), HorizontalProjection<Side::left>{}));
  CHECK(same(projection_of<std::remove_cvref_t<decltype(head.stages())>>(),
             HorizontalProjection<Side::left>{}));
  CHECK(same(projection_of<decltype(head.mirrored())>(), HorizontalProjection<Side::right>{}));
  CHECK(same(projection_of<UnderShift>(), HorizontalProjection<Side::left>{}));
  CHECK(same(projection_of<Plain>(), HorizontalProjection<>{}));
}

TEST_CASE("families are those of the group, of the claim, or none") {
  CHECK(families_of_rule<Update<LmHead>, float>() == families_of<LmHead>);
  CHECK(families_of_rule<RowNorm, float>() == symopt::detail::claimed_families<RowNorm>);
  CHECK(families_of_rule<Plain, float>() == Families{});
  CHECK_FALSE(families_of_rule<AdamW, float>().has_value());
  CHECK(acts_entrywise<AdamW>());
  CHECK(acts_entrywise<Sign>());
  CHECK_FALSE(acts_entrywise<RowNorm>());
  CHECK_FALSE(acts_entrywise<Plain>());
}

}}  // namespace rule_traits_test
