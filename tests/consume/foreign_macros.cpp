// SPDX-License-Identifier: Apache-2.0
// Words that headers of systems and libraries define as macros (windows.h, complex.h, sys/sysmacros.h,
// termios.h, Qt): no header of symopt uses one as a name. What others include comes first, as they may.
#include <Eigen/Dense>
#include <boost/hana.hpp>

#include <nlohmann/json.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <regex>
#include <set>
#include <span>
#include <sstream>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define far
#define near
#define small char
#define hyper long
#define interface struct
#define pascal
#define cdecl
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define ERROR 0
#define STRICT 1
#define DELETE 0x00010000L
#define TRUE 1
#define FALSE 0
#define I (__extension__ 1.0iF)
#define major(x) ((x) >> 8)
#define minor(x) ((x)&255)
#define unix 1
#define linux 1
#define B0 0
#define ECHO 8
#define emit
#define slots
#define signals public
#define foreach(x, y) for (x : y)

#include <symopt/symopt.hpp>
// and what the umbrella does not include
#include <symopt/check.hpp>
#include <symopt/frame/frame_average.hpp>
#include <symopt/state/state.hpp>

int main() {}
