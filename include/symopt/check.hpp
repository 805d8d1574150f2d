// SPDX-License-Identifier: Apache-2.0
#pragma once

// Checks of groups, rules and whole models, framework-free: each returns a report.
#include <symopt/check/laws/classify.hpp>
#include <symopt/check/laws/classify_optimizer.hpp>
#include <symopt/check/laws/conserved.hpp>
#include <symopt/check/laws/equivariance.hpp>
#include <symopt/check/laws/group_laws.hpp>
#include <symopt/check/laws/homogeneity.hpp>
#include <symopt/check/laws/layout.hpp>
#include <symopt/check/laws/locality.hpp>
#include <symopt/check/laws/pair.hpp>
#include <symopt/check/laws/pair_classify.hpp>
#include <symopt/check/laws/pair_horizontal.hpp>
#include <symopt/check/laws/shift.hpp>
#include <symopt/check/laws/trajectory.hpp>
#include <symopt/check/model.hpp>
#include <symopt/check/report.hpp>
#include <symopt/check/symmetry_error.hpp>
