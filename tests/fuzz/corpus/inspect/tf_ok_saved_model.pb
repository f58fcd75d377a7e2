

nMatMul