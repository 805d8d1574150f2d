// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <symopt/abi.hpp>

#include <boost/hana/concept/struct.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/string.hpp>
#include <boost/hana/tuple.hpp>

#include <utility>

// Option structs are adapted to Boost.Hana as BOOST_HANA_ADAPT_STRUCT would do it, but by a partial
// specialization: the accessors, a type for every letter of every name, are then compiled by who prints or
// saves options, not by whoever includes them.
//   template <class Options>
//   struct boost::hana::accessors_impl<Options, boost::hana::when<std::same_as<Options, symopt::RowNorm>>> {
//     static constexpr auto apply() {
//       return make_tuple(make_pair(BOOST_HANA_STRING("eps"), symopt::detail::Member<&Options::eps>{}));
//     }
//   };
namespace symopt { inline namespace SYMOPT_ABI { namespace detail {

/// A member of an object as a function of the object.
template <auto pointer>
struct Member {
  template <class Object>
  constexpr decltype(auto) operator()(Object&& object) const {
    return std::forward<Object>(object).*pointer;
  }
};

}}}  // namespace symopt::detail
