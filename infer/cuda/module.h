/*
 * module.h - the one door of registryd-cuda.so. The program opens the module at run time (cuda_load.c), so that one package serves
 * machines with and without a GPU, and only this file knows of CUDA's libraries.
 */
#ifndef INFER_CUDA_MODULE_H
#define INFER_CUDA_MODULE_H

#include "infer/ops.h"

/* As ops_cuda_open(). */
int cuda_module_open(const struct ops **ops, struct backend **b, const struct ops_cuda_options *o, struct ops_device *device, struct err *e);

/* Which build of the program the module belongs to: both share structs. */
extern const char cuda_module_version[];

#endif
