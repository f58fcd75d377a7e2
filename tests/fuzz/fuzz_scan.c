/* fuzz_scan.c - any bytes as a file of any name: the first byte chooses the name, the rest is the content. */
#include "base/own.h"
#include "verify/scan_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = { "a.bin", "a.pkl", "a.npy", "a.onnx", "saved_model.pb", "a.msgpack", "README.md", "config.json", "a.jinja", "tokenizer.model",
				     "a.tar", "a.h5", "a.keras", "a.pt", "a.gz", "a.txt" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	own(report) struct report r;
	own(bytes) struct bytes b = { 0 };
	const char *format;
	struct scan in = { .dirfd = -1, .nested = 1, .alone = true, .r = &r, .format = &format };

	report_init(&r);
	if (size == 0)
		return 0;
	in.name = names[data[0] % ARRAY_LEN(names)];
	report_path(&r, "%s", in.name);
	bytes_of_mem(&b, data + 1, size - 1, in.name);
	scan_bytes(&in, &b);
	return 0;
}
