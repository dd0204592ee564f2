/* A CUDA driver without a device: "device" memory is host memory, work runs at once.
 *
 * It keeps the rules that matter: captured work is recorded and runs at launch only, memory is
 * counted, and any call can be told to fail. Built by fake_gpu.py.
 */
#include <stdlib.h>
#include <string.h>

#define MAX_OPS 64

typedef void (*callback)(int);
typedef struct { void *to; const void *from; size_t size; callback run; int id; } op;
typedef struct { int count; op ops[MAX_OPS]; } graph;

static graph *recording;
static long live, launches, limit_bytes = -1, used_bytes;
static char failing[64];
static int fail_code, fail_after;

/* Tests steer and look through these. */
long fake_live(void) { return live; }
long fake_launches(void) { return launches; }
void fake_limit(long bytes) { limit_bytes = bytes; }
void fake_fail(const char *function, int code, int after)
{
    strncpy(failing, function, sizeof failing - 1);
    fail_code = code;
    fail_after = after;
}
void fake_reset(void)
{
    live = launches = used_bytes = 0;
    limit_bytes = -1;
    failing[0] = 0;
    recording = NULL;
}

static int check(const char *function)
{
    if (!strcmp(failing, function) && fail_after-- <= 0)
        return fail_code;
    return 0;
}
#define CHECK() do { int code = check(__func__); if (code) return code; } while (0)

static int run(op o)
{
    if (recording) {
        if (recording->count == MAX_OPS)
            return 900;
        recording->ops[recording->count++] = o;
    } else if (o.run) {
        o.run(o.id);
    } else {
        memcpy(o.to, o.from, o.size);
    }
    return 0;
}

/* What TensorRT does on a stream. */
int fake_enqueue(callback function, int id) { return run((op){.run = function, .id = id}); }

int cuInit(unsigned flags) { CHECK(); return flags ? 1 : 0; }
int cuDriverGetVersion(int *v) { CHECK(); *v = 13010; return 0; }
int cuDeviceGetCount(int *n) { CHECK(); *n = 1; return 0; }
int cuDeviceGet(int *d, int i) { CHECK(); *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { (void)d; CHECK(); strncpy(s, "Fake GPU", n); return 0; }
int cuDeviceGetAttribute(int *v, int a, int d)
{
    (void)d; CHECK();
    *v = a == 75 ? 8 : a == 76 ? 9 : -1;
    return 0;
}
int cuDevicePrimaryCtxRetain(void **c, int d) { (void)d; CHECK(); *c = (void *)1; live++; return 0; }
int cuDevicePrimaryCtxRelease_v2(int d) { (void)d; live--; return 0; }
int cuCtxSetCurrent(void *c) { CHECK(); return c == (void *)1 ? 0 : 201; }

int cuMemAlloc_v2(unsigned long long *p, size_t n)
{
    CHECK();
    if (limit_bytes >= 0 && used_bytes + (long)n > limit_bytes)
        return 2;
    size_t *block = aligned_alloc(256, 256 + (n + 255) / 256 * 256);
    *block = n;
    used_bytes += (long)n;
    live++;
    *p = (unsigned long long)((char *)block + 256);
    return 0;
}
int cuMemFree_v2(unsigned long long p)
{
    CHECK();
    size_t *block = (size_t *)((char *)p - 256);
    used_bytes -= (long)*block;
    free(block);
    live--;
    return 0;
}
int cuMemHostAlloc(void **p, size_t n, unsigned flags) { (void)flags; CHECK(); *p = malloc(n); live++; return 0; }
int cuMemFreeHost(void *p) { CHECK(); free(p); live--; return 0; }
int cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t n, void *s)
{
    CHECK();
    return s ? run((op){.to = (void *)to, .from = from, .size = n}) : 400;
}
int cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t n, void *s)
{
    CHECK();
    return s ? run((op){.to = to, .from = (void *)from, .size = n}) : 400;
}
int cuStreamCreate(void **s, unsigned flags) { CHECK(); *s = (void *)2; live++; return flags == 1 ? 0 : 1; }
int cuStreamDestroy_v2(void *s) { (void)s; live--; return 0; }
int cuStreamSynchronize(void *s) { (void)s; CHECK(); return 0; }
int cuStreamBeginCapture_v2(void *s, int mode)
{
    (void)s; (void)mode; CHECK();
    recording = calloc(1, sizeof *recording);
    return 0;
}
int cuStreamEndCapture(void *s, void **g)
{
    (void)s; CHECK();
    if (!recording)
        return 401;
    *g = recording;
    recording = NULL;
    live++;
    return 0;
}
int cuGraphInstantiateWithFlags(void **e, void *g, unsigned long long flags)
{
    (void)flags; CHECK();
    graph *copy = malloc(sizeof *copy);
    *copy = *(graph *)g;
    *e = copy;
    live++;
    return 0;
}
int cuGraphLaunch(void *e, void *s)
{
    (void)s; CHECK();
    launches++;
    graph *g = e;
    for (int i = 0; i < g->count; i++)
        run(g->ops[i]);
    return 0;
}
int cuGraphExecDestroy(void *e) { CHECK(); free(e); live--; return 0; }
int cuGraphDestroy(void *g) { CHECK(); free(g); live--; return 0; }
int cuEventCreate(void **e, unsigned flags) { (void)flags; CHECK(); *e = (void *)3; live++; return 0; }
int cuEventRecord(void *e, void *s) { (void)e; (void)s; CHECK(); return recording ? 900 : 0; }
int cuEventSynchronize(void *e) { (void)e; CHECK(); return 0; }
int cuEventDestroy_v2(void *e) { (void)e; live--; return 0; }
int cuGetErrorName(int code, const char **name)
{
    *name = code == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : code == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR_UNKNOWN";
    return 0;
}
