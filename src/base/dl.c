/* Libraries opened on first use.
 * Layer: base. */
#include "base/dl.h"

#include <dlfcn.h>
#include <string.h>

#include "base/ban.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int open_locked(struct zk_dl *dl, struct zk_error *err)
{
	/* RTLD_NODELETE and no dlclose: see the header. Lazy: libcurl alone brings thirty more
	 * libraries, and what is never called need not be looked up. */
	void *lib = dlopen(dl->soname, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);

	if (!lib) {
		const char *why = dlerror();

		(void)zk_fail(err, ZK_E_LIBRARY, "cannot open the library %s",
		              dl->soname);
		(void)zk_err_why(err, "%s", why ? why : "unknown reason");
		return zk_err_hint(err, "install the package %s", dl->package);
	}
	for (size_t i = 0; i < dl->n_syms; i++) {
		void *sym = dlsym(lib, dl->syms[i].name);

		if (!sym) {
			(void)zk_fail(err, ZK_E_LIBRARY,
			              "the library %s has no function '%s'", dl->soname,
			              dl->syms[i].name);
			return zk_err_hint(err,
			                   "install a newer version of the package %s",
			                   dl->package);
		}
		memcpy((char *)dl->table + dl->syms[i].off, &sym, sizeof(sym));
	}
	return 0;
}

int zk_dl_open(struct zk_dl *dl, struct zk_error *err)
{
	int r = 0;

	if (__atomic_load_n(&dl->state, __ATOMIC_ACQUIRE) == 1)
		return 0;
	(void)pthread_mutex_lock(&lock); /* fails only for misuse */
	if (dl->state != 1) {
		r = open_locked(dl, err);
		__atomic_store_n(&dl->state, r == 0 ? 1 : -1, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&lock);
	return r;
}
