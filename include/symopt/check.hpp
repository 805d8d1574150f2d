// SPDX-License-Identifier: Apache-2.0
#pragma once

// Checks of groups and rules, framework-free: each returns a Report.
#include <symopt/check/classify.hpp>
#include <symopt/check/conserved.hpp>
#include <symopt/check/equivariance.hpp>
#include <symopt/check/group_laws.hpp>
#include <symopt/check/homogeneity.hpp>
#include <symopt/check/layout.hpp>
#include <symopt/check/locality.hpp>
#include <symopt/check/report.hpp>
#include <symopt/check/shift.hpp>
#include <symopt/check/symmetry_error.hpp>
#include <symopt/check/trajectory.hpp>
