/* emu_types.h - the vector types and dim3 of CUDA, with the alignment that they have on the device (UBSan checks it at each access). */
#ifndef CUDA_HOST_EMU_TYPES_H
#define CUDA_HOST_EMU_TYPES_H

#define EMU_VECTORS(type, name, align2, align4)						\
	struct name##1 { type x; };							\
	struct alignas(align2) name##2 { type x, y; };					\
	struct name##3 { type x, y, z; };						\
	struct alignas(align4) name##4 { type x, y, z, w; };				\
	static inline name##1 make_##name##1(type x) { return { x }; }			\
	static inline name##2 make_##name##2(type x, type y) { return { x, y }; }	\
	static inline name##3 make_##name##3(type x, type y, type z) { return { x, y, z }; } \
	static inline name##4 make_##name##4(type x, type y, type z, type w) { return { x, y, z, w }; }

EMU_VECTORS(signed char, char, 2, 4)
EMU_VECTORS(unsigned char, uchar, 2, 4)
EMU_VECTORS(short, short, 4, 8)
EMU_VECTORS(unsigned short, ushort, 4, 8)
EMU_VECTORS(int, int, 8, 16)
EMU_VECTORS(unsigned int, uint, 8, 16)
EMU_VECTORS(long long, longlong, 16, 16)
EMU_VECTORS(unsigned long long, ulonglong, 16, 16)
EMU_VECTORS(float, float, 8, 16)
EMU_VECTORS(double, double, 16, 16)
#undef EMU_VECTORS

struct dim3 {
	unsigned int x, y, z;
	constexpr dim3(unsigned int vx = 1, unsigned int vy = 1, unsigned int vz = 1) : x(vx), y(vy), z(vz) {}
	constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
	constexpr operator uint3() const { return uint3 { x, y, z }; }
};

#endif
