/* cases.h - the weights of packed.safetensors (make_packed.py): NAME.weight in its several tensors, and the configuration that says how. */
#ifndef GOLDEN_QUANT_CASES_H
#define GOLDEN_QUANT_CASES_H

#define PACKED_FILE "packed.safetensors"

static const struct {
	const char *name, *config;
} packed_cases[] = {
	{ "gptq2", "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":2,\"group_size\":16}}" },
	{ "gptq3", "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":3,\"group_size\":16}}" },
	{ "gptq4", "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16,\"desc_act\":true}}" },
	{ "gptq8", "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":16}}" },
	{ "awq", "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":32,\"version\":\"gemm\"}}" },
	{ "nf4", "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}}" },
	{ "nf4_nested", "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}}" },
	{ "fp4", "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}}" },
	{ "fp4_nested", "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true}}" },
	{ "int8", "{\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_8bit\":true}}" },
	{ "packed4", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"group_size\":32}}}}}" },
	{ "packed8", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":8,\"group_size\":32}}}}}" },
	{ "int8_channel", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"int-quantized\",\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":8,\"type\":\"int\",\"strategy\":\"channel\"}}}}}" },
	{ "fp8_block", "{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[16,32]}}" },
	{ "fp8_channel", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-quantized\",\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":8,\"type\":\"float\",\"strategy\":\"channel\"}}}}}" },
	{ "fp8_tensor", "{\"quantization_config\":{\"quant_method\":\"modelopt\",\"quant_algo\":\"FP8\"}}" },
	{ "nvfp4_modelopt", "{\"quantization_config\":{\"quant_method\":\"modelopt\",\"quant_algo\":\"NVFP4\",\"config_groups\":{\"a\":{\"input_activations\":null}}}}" },
	{ "nvfp4_packed", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"nvfp4-pack-quantized\",\"config_groups\":{\"group_0\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"type\":\"float\",\"strategy\":\"tensor_group\",\"group_size\":16}}}}}" },
	{ "fp8_e5m2", "{\"quantization_config\":{\"quant_method\":\"fp8\"}}" },
	{ "packed2_zeros", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"group_size\":32}},\"b\":{\"targets\":[\"re:.*8_z\"],\"weights\":{\"num_bits\":8,\"group_size\":16}},\"c\":{\"targets\":[\"packed2_zeros\",\"re:int8_z.*\"],\"weights\":{\"num_bits\":2,\"group_size\":16}}}}}" },
	{ "packed4_zeros", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"group_size\":32}},\"b\":{\"targets\":[\"re:.*8_z\"],\"weights\":{\"num_bits\":8,\"group_size\":16}},\"c\":{\"targets\":[\"packed2_zeros\",\"re:int8_z.*\"],\"weights\":{\"num_bits\":2,\"group_size\":16}}}}}" },
	{ "packed8_zeros", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"pack-quantized\",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":4,\"group_size\":32}},\"b\":{\"targets\":[\"re:.*8_z\"],\"weights\":{\"num_bits\":8,\"group_size\":16}},\"c\":{\"targets\":[\"packed2_zeros\",\"re:int8_z.*\"],\"weights\":{\"num_bits\":2,\"group_size\":16}}}}}" },
	{ "int8_zeros", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"int-quantized\",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":8,\"group_size\":16}}}}}" },
	{ "int8_tensor", "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"int-quantized\",\"config_groups\":{\"a\":{\"targets\":[\"Linear\"],\"weights\":{\"num_bits\":8,\"group_size\":null}}}}}" },
};

#endif
