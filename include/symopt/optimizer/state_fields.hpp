// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/optimizer/any_state.hpp>

#include <boost/hana/accessors.hpp>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/core/to.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/fuse.hpp>
#include <boost/hana/members.hpp>
#include <boost/hana/tuple.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

// The state of a rule, as a list of named arrays: how a state is saved, loaded and copied without its type.
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

namespace hana = boost::hana;

template <class T>
constexpr const char* dtype_of() {
  if constexpr (std::same_as<T, bool>) {
    return "BOOL";
  } else if constexpr (std::floating_point<T>) {
    return sizeof(T) == 4 ? "F32" : "F64";
  } else if constexpr (std::signed_integral<T>) {
    return sizeof(T) == 1 ? "I8" : sizeof(T) == 2 ? "I16" : sizeof(T) == 4 ? "I32" : "I64";
  } else {
    return sizeof(T) == 1 ? "U8" : sizeof(T) == 2 ? "U16" : sizeof(T) == 4 ? "U32" : "U64";
  }
}

/// A number as a file holds it. A long double or an enumeration is none.
template <class T>
concept SavedNumber = (std::integral<T> || std::same_as<T, float> || std::same_as<T, double>)&&sizeof(T) <= 8;

template <class T>
concept SavedMatrix =
    EigenObject<T> && std::derived_from<T, Eigen::PlainObjectBase<T>> && SavedNumber<typename T::Scalar>;

struct AnyFieldVisitor {
  void operator()(const std::string&, auto&) const {}
};
template <class T>
concept VisitsItself = requires(T& object) {
  object.visit(AnyFieldVisitor{});
};

/// Memory of a shape that says where its elements lie now, rows x cols.
template <class T>
concept SavedBlock = requires(T& object) {
  {
    object.for_writing()
    } -> std::same_as<BlockView<std::remove_pointer_t<decltype(object.for_writing().data)>>>;
  object.for_reading();
};

template <class T>
concept SavedVector = requires(T& list) {
  list.data();
  list.resize(list.size());
  requires !EigenObject<T>;
};

template <class T>
constexpr bool can_be_visited();

template <class... Members>
constexpr bool can_be_visited(const hana::tuple<Members...>*) {
  return (can_be_visited<Members>() && ...);
}

template <class T>
constexpr bool can_be_visited() {
  if constexpr (SavedNumber<T> || SavedMatrix<T> || SavedBlock<T> || VisitsItself<T>) {
    return true;
  } else if constexpr (SavedVector<T>) {
    return can_be_visited<typename T::value_type>();
  } else if constexpr (hana::Struct<T>::value) {
    using Members = decltype(hana::to_tuple(hana::members(std::declval<const T&>())));
    return can_be_visited(static_cast<const Members*>(nullptr));
  } else {
    return false;
  }
}

/// Calls visit with every array of a state; their names begin with `name`. Unless `is_written`, visit only
/// reads them: several threads may then visit one state.
template <class T>
void visit_fields(const std::string& name, T& object, bool is_written,
                  const std::function<void(StateField)>& visit) {
  static_assert(can_be_visited<T>(),
                "a state is saved as matrices, numbers, vectors of them, and structs that have a member "
                "visit(field) or are adapted to Boost.Hana; see docs/state.md");
  const auto inside = [&](const std::string& member) { return name.empty() ? member : name + "." + member; };
  if constexpr (SavedNumber<T>) {
    visit({.name = name, .dtype = dtype_of<T>(), .scalar_size = sizeof(T), .data = &object});
  } else if constexpr (SavedMatrix<T>) {
    using Scalar = typename T::Scalar;
    StateField field{.name = name, .dtype = dtype_of<Scalar>(), .scalar_size = sizeof(Scalar)};
    field.shape = {object.rows(), object.cols()};
    field.strides = {object.rowStride(), object.colStride()};
    field.data = object.data();
    if constexpr (T::RowsAtCompileTime == Eigen::Dynamic && T::ColsAtCompileTime == Eigen::Dynamic)
      if (object.size() == 0)
        field.resized = [&object, name](const std::vector<Index>& shape) {
          object.resize(shape[0], shape[1]);
          StateField now;
          visit_fields(name, object, true, [&](StateField f) { now = std::move(f); });
          return now;
        };
    visit(std::move(field));
  } else if constexpr (SavedBlock<T>) {
    const auto block = is_written ? object.for_writing() : object.for_reading();
    using Scalar = typename decltype(block)::value_type;
    visit({.name = name,
           .dtype = dtype_of<Scalar>(),
           .scalar_size = sizeof(Scalar),
           .shape = {block.rows.size, block.cols.size},
           .strides = {block.rows.stride, block.cols.stride},
           .data = block.data});
  } else if constexpr (VisitsItself<T>) {
    object.visit([&](const std::string& member, auto& field) {
      visit_fields(inside(member), field, is_written, visit);
    });
  } else if constexpr (SavedVector<T>) {
    using Element = typename T::value_type;
    if constexpr (SavedNumber<Element>) {
      StateField field{.name = name, .dtype = dtype_of<Element>(), .scalar_size = sizeof(Element)};
      field.shape = {static_cast<Index>(object.size())};
      field.strides = {1};
      field.data = object.data();
      if (object.empty())
        field.resized = [&object, name](const std::vector<Index>& shape) {
          object.resize(static_cast<std::size_t>(shape[0]));
          StateField now;
          visit_fields(name, object, true, [&](StateField f) { now = std::move(f); });
          return now;
        };
      visit(std::move(field));
    } else {
      for (std::size_t i = 0; i < object.size(); ++i)
        visit_fields(inside(std::to_string(i)), object[i], is_written, visit);
    }
  } else {
    hana::for_each(hana::accessors<T>(), hana::fuse([&](auto member, auto of) {
                     visit_fields(inside(hana::to<const char*>(member)), of(object), is_written, visit);
                   }));
  }
}

/// A state that can be saved: made of matrices and vectors of Eigen, numbers, std::vectors of these, and
/// structs that have these as members and say so, either adapted to Boost.Hana or with
///   void visit(auto&& field) { field("momentum", momentum); field("step", step); }
template <class State>
concept SavableState = detail::can_be_visited<State>();

}  // namespace detail

}}  // namespace symopt
