// All of optim: optimisers, schedules, gradient clipping, and the tutorial's descent.
#pragma once

#include "optim/adam.h"
#include "optim/clip.h"
#include "optim/descend.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "optim/sgd.h"
