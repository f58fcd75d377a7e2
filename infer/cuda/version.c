/* version.c - see module.h. */
#include "infer/cuda/module.h"

const char cuda_module_version[] = REGISTRYD_VERSION;
