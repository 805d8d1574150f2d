// SPDX-License-Identifier: Apache-2.0
#pragma once

// Everything but the optional interop headers.
#include <symopt/group/head_rotations.hpp>
#include <symopt/group/order.hpp>
#include <symopt/group/orthogonal.hpp>
#include <symopt/group/permutation.hpp>
#include <symopt/group/product.hpp>
#include <symopt/group/shift.hpp>
#include <symopt/group/signed_permutation.hpp>
#include <symopt/group/trivial.hpp>
#include <symopt/matrix.hpp>
#include <symopt/normalization/column_norm.hpp>
#include <symopt/normalization/dual_norm.hpp>
#include <symopt/normalization/frobenius_norm.hpp>
#include <symopt/normalization/head_spectral.hpp>
#include <symopt/normalization/horizontal_projection.hpp>
#include <symopt/normalization/identity.hpp>
#include <symopt/normalization/one_sided_spectral.hpp>
#include <symopt/normalization/row_norm.hpp>
#include <symopt/normalization/sign.hpp>
#include <symopt/normalization/spectral.hpp>
#include <symopt/normalization/then.hpp>
#include <symopt/parameter/named_groups.hpp>
#include <symopt/polar/coupled_inverse_root.hpp>
#include <symopt/polar/exact.hpp>
#include <symopt/polar/newton_schulz.hpp>
#include <symopt/polar/polar_express.hpp>
#include <symopt/update/adamw.hpp>
#include <symopt/update/optimizer.hpp>
#include <symopt/update/schedule.hpp>
#include <symopt/update/update.hpp>
#include <symopt/version.hpp>
