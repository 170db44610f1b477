// regrad: tensors that remember how they were computed. This one include is the whole library.
#pragma once

#include "autograd/anomaly.h"
#include "autograd/audit.h"
#include "autograd/dot.h"
#include "autograd/error.h"
#include "autograd/explain.h"
#include "autograd/gradcheck.h"
#include "autograd/graph.h"
#include "autograd/observer.h"
#include "autograd/tensor.h"
#include "autograd/trace.h"
#include "nn/nn.h"
#include "ops/backend.h"
#include "ops/ops.h"
#include "optim/optim.h"
