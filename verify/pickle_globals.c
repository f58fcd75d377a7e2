/*
 * pickle_globals.c - which names a pickle may use. The allow-list is torch's own for weights_only plus what cannot do harm; the lists of
 * the dangerous only decide how bad an unlisted name is called: it is never let through.
 */
#include "base/own.h"
#include "base/str.h"
#include "verify/pickle.h"

struct allowed {
	const char *module;
	const char *names;	/* separated by spaces */
};

static const struct allowed allow[] = {
	{ "collections", "OrderedDict Counter defaultdict" },
	{ "torch.nn.parameter", "Parameter" },
	{ "torch.serialization", "_get_layout" },
	{ "torch", "Size Tensor device float16 float32 float64 float half double bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 short int long bool "
		   "complex32 complex64 complex128 chalf cfloat cdouble qint8 quint8 qint32 quint4x2 quint2x4 bits1x8 bits2x4 bits4x2 bits8 bits16 "
		   "float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2 uint1 uint2 uint3 uint4 uint5 uint6 uint7 "
		   "int1 int2 int3 int4 int5 int6 int7 per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric "
		   "per_channel_affine_float_qparams strided sparse_coo preserve_format contiguous_format channels_last" },
	{ "torch", "FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage ByteStorage BoolStorage "
		   "ComplexFloatStorage ComplexDoubleStorage QInt8Storage QUInt8Storage QInt32Storage QUInt4x2Storage QUInt2x4Storage UntypedStorage TypedStorage" },
	{ "torch.storage", "TypedStorage UntypedStorage _LegacyStorage" },
	{ "torch.cuda", "FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage ByteStorage BoolStorage "
			"FloatTensor DoubleTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor CharTensor ByteTensor BoolTensor" },
	{ "torch", "FloatTensor DoubleTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor CharTensor ByteTensor BoolTensor" },
	{ "torch._utils", "_rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor _rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 "
			  "_rebuild_sparse_tensor _rebuild_meta_tensor_no_storage _rebuild_nested_tensor _rebuild_wrapper_subclass "
			  "_rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor" },
	{ "torch._tensor", "_rebuild_from_type_v2" },
	{ "torch.jit._pickle", "build_intlist build_tensorlist build_doublelist build_boollist build_tensor_from_id restore_type_tag" },
	{ "_codecs", "encode" },
	{ "builtins", "bytearray set complex frozenset int float str bytes bool list dict tuple slice range object" },
	{ "copyreg", "_reconstructor" },
	{ "datetime", "datetime date time timedelta timezone" },
	{ "decimal", "Decimal" },
	{ "fractions", "Fraction" },
	{ "uuid", "UUID SafeUUID" },
	{ "pathlib", "Path PosixPath PurePosixPath WindowsPath PureWindowsPath" },
};

/* Python 2's names, which a protocol below 3 means. */
static const char *const renamed[][2] = {
	{ "__builtin__", "builtins" }, { "copy_reg", "copyreg" }, { "cPickle", "pickle" }, { "commands", "subprocess" }, { "Queue", "queue" },
	{ "UserDict", "collections" }, { "UserList", "collections" }, { "itertools", "itertools" },
};

/* The standard library's modules: whatever is not allowed above is refused. */
static const char stdlib[] =
	" __main__ __future__ _abc _ast _asyncio _bisect _bootsubprocess _bz2 _codecs _collections _collections_abc _compression _contextvars _csv _ctypes "
	"_curses _datetime _dbm _decimal _elementtree _frozen_importlib _frozen_importlib_external _functools _hashlib _heapq _imp _io _json _locale _lsprof "
	"_lzma _markupbase _md5 _multibytecodec _multiprocessing _opcode _operator _osx_support _pickle _posixshmem _posixsubprocess _py_abc _pydecimal _pyio "
	"_queue _random _sha1 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat _statistics _string _strptime _struct _symtable _thread _threading_local "
	"_tkinter _tracemalloc _typing _uuid _warnings _weakref _weakrefset _winapi _xxsubinterpreters _zoneinfo abc aifc antigravity argparse array ast "
	"asynchat asyncio asyncore atexit audioop base64 bdb binascii binhex bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code codecs "
	"codeop collections colorsys commands compileall concurrent configparser contextlib contextvars copy copyreg crypt csv ctypes curses dataclasses "
	"datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch formatter "
	"fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp "
	"importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap modulefinder "
	"msilib msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path numbers opcode operator optparse os ossaudiodev parser pathlib pdb pickle "
	"pickletools pipes pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue "
	"quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex shutil signal site smtpd smtplib sndhdr "
	"socket socketserver spwd sqlite3 sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct subprocess sunau symbol symtable "
	"sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios test textwrap this threading time timeit tkinter token tokenize tomllib trace "
	"traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib uu uuid venv warnings wave weakref webbrowser winreg winsound "
	"wsgiref xdrlib xml xmlrpc xxlimited xxsubtype zipapp zipfile zipimport zlib zoneinfo __builtin__ copy_reg cPickle ";

/* Packages whose functions load or run code: unlisted names of theirs are refused, not only flagged. */
static const char *const dangerous[] = {
	"pip", "setuptools", "pkg_resources", "_distutils_hack", "numpy.testing", "numpy.f2py", "numpy.distutils", "numpy.load", "cloudpickle", "dill", "_dill",
	"IPython", "_pytest", "pytest", "jupyter", "ptpython", "joblib.load", "joblib.numpy_pickle.load", "pandas.read_pickle", "pandas.eval", "pandas.io",
	"sympy", "yaml", "jsonpickle", "shelve", "requests", "httpx", "aiohttp", "paramiko", "fabric", "invoke", "sh", "pexpect", "psutil", "win32com", "ctypes",
	"cffi", "numba", "tensorflow.io", "tensorflow.python", "keras", "idlelib", "code", "torch._dynamo", "torch._inductor", "torch.hub", "torch.jit",
	"torch.load", "torch.serialization", "torch.storage", "torch.utils", "torch.distributed", "torch.package", "torch.testing", "torch.fx",
	"torch.multiprocessing", "torch.cpp_extension", "torch.ops", "torch.classes", "torch._C", "torch.compile", "torch.cuda", "torch._utils", "torch.os",
	"torch.sys", "fickling", "picklescan", "modelscan", "transformers.utils", "transformers.dynamic_module_utils", "huggingface_hub", "fsspec", "gradio",
	"uvicorn", "flask", "django", "werkzeug", "twisted", "tornado", "celery", "rpyc", "pwn", "scapy", "nltk", "spacy.util", "datasets.load",
};

static bool in_words(const char *words, const char *w, size_t n)
{
	for (const char *p = words; (p = strstr(p, w)); p += n)
		if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == 0))
			return true;
	return false;
}

static bool is_stdlib(const char *module)
{
	char top[PICKLE_NAME_MAX];
	size_t n = strcspn(module, ".");

	if (n == 0 || n >= sizeof(top))
		return true;	/* an odd name is no third party's */
	memcpy(top, module, n);
	top[n] = 0;
	return !strchr(top, ' ') && in_words(stdlib, top, n);
}

static bool is_dangerous(const char *module, const char *name)
{
	char full[2 * PICKLE_NAME_MAX + 2];

	snprintf(full, sizeof(full), "%s.%s", module, name);
	for (size_t i = 0; i < ARRAY_LEN(dangerous); i++) {
		size_t n = strlen(dangerous[i]);

		if (strncmp(full, dangerous[i], n) == 0 && (full[n] == '.' || full[n] == 0))
			return true;
	}
	return false;
}

enum pickle_verdict pickle_judge(const char *module, const char *name, int proto)
{
	for (size_t i = 0; proto < 3 && i < ARRAY_LEN(renamed); i++)
		if (strcmp(module, renamed[i][0]) == 0) {
			module = renamed[i][1];
			break;
		}
	for (size_t i = 0; i < ARRAY_LEN(allow); i++)
		if (strcmp(module, allow[i].module) == 0 && !strchr(name, ' ') && *name && in_words(allow[i].names, name, strlen(name)))
			return PICKLE_ALLOWED;
	return is_stdlib(module) || is_dangerous(module, name) ? PICKLE_DANGEROUS : PICKLE_UNLISTED;
}

uint32_t pickle_storage_bytes(const char *name)
{
	static const struct {
		const char *name;
		uint32_t bytes;
	} table[] = {
		{ "FloatStorage", 4 },	       { "DoubleStorage", 8 },	       { "HalfStorage", 2 },	{ "BFloat16Storage", 2 },    { "LongStorage", 8 },
		{ "IntStorage", 4 },	       { "ShortStorage", 2 },	       { "CharStorage", 1 },	{ "ByteStorage", 1 },	     { "BoolStorage", 1 },
		{ "ComplexFloatStorage", 8 },  { "ComplexDoubleStorage", 16 }, { "QInt8Storage", 1 },	{ "QUInt8Storage", 1 },	     { "QInt32Storage", 4 },
		{ "UntypedStorage", 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].bytes;
	return 0;
}
