// All of nn: layers, attention, recurrent and transformer layers, models, checkpoints.
#pragma once

#include "nn/attention.h"
#include "nn/audit.h"
#include "nn/checkpoint.h"
#include "nn/conv.h"
#include "nn/decode.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/module.h"
#include "nn/normalise.h"
#include "nn/recurrent.h"
#include "nn/score.h"
#include "nn/seq2seq.h"
#include "nn/transformer.h"
#include "nn/transformer_seq2seq.h"
