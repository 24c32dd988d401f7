/* The log: levels, folding of repeats, the queue and the writer thread. What a line looks like
 * is logline.c's, which values it may not show redact.c's.
 * Layer: base. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/logline.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/recent.h"
#include "base/rand.h"

#include "base/ban.h"

/* Lines that wait for the writer thread; the queue is full beyond it. */
#define QUEUE_MAX   (1u << 20)
#define QUEUE_SPARE 1024 /* for the line that counts dropped ones */
/* How long a line that cannot be written is waited for: without a thread, and at the end. */
#define STALL_MS      1000
#define STALL_TICK_MS 100
#define FLUSH_MS      2000
#define BAR_MAX       8192
#define FOLD_US       (10 * INT64_C(1000000))
#define FOLD_SLOTS    16
#define FOLD_MSG      256
#define FOLD_FIELDS   2048
#define FOLD_TICK_MS  250

/* A message seen in the last seconds. */
struct fold {
	uint64_t hash; /* of everything but the time */
	int64_t first_us, last_us;
	uint64_t more; /* how often it came again and was not written */
	enum zk_log_level level;
	char logger[32];
	struct zk_buf msg, fields;
	bool used;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_int level_now = ZK_LOG_NOTICE;
static atomic_int format_now = ZK_LOG_TEXT;
static atomic_bool quit;
/* Under `lock`: */
static int out_fd = STDERR_FILENO;
static bool color, threaded, writing;
static pthread_t thread;
static pthread_cond_t work, idle; /* on the monotonic clock */
static struct zk_buf queue = { .cap = QUEUE_MAX + QUEUE_SPARE };
static uint64_t dropped;
static struct zk_buf bar = { .cap = BAR_MAX }; /* see zk_log_bar() */
static struct fold folds[FOLD_SLOTS];

static void start_once(void)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr); /* these fail only for misuse */
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&work, &attr);
	(void)pthread_cond_init(&idle, &attr);
	(void)pthread_condattr_destroy(&attr);
}

static void take_lock(void)
{
	(void)pthread_once(&once, start_once);
	(void)pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
	(void)pthread_mutex_unlock(&lock);
}

/* ---- writing ---- */

/* Waits until `fd` takes a line, at most `stall_ms`, at the end at most STALL_MS. */
static bool wait_writable(int fd, int stall_ms)
{
	for (int waited = 0;; waited += STALL_TICK_MS) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int r = poll(&p, 1, STALL_TICK_MS);

		if (r > 0)
			return true;
		if (r < 0 && errno != EINTR)
			return false;
		if (waited >= (atomic_load(&quit) ? STALL_MS : stall_ms))
			return false;
	}
}

/* Writes all of `text` in pieces that a pipe takes whole; false when the rest had to be given
 * up. */
static bool write_all(int fd, zk_str text, int stall_ms)
{
	while (text.n) {
		ssize_t n;

		if (!wait_writable(fd, stall_ms))
			return false;
		n = write(fd, text.p, ZK_MIN(text.n, (size_t)4096));
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n > 0)
			text = zk_str_from(text, (size_t)n);
	}
	return true;
}

static uint64_t count_lines(zk_str text)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	return n;
}

static void put_line(struct zk_buf *b, enum zk_log_level level, const char *logger,
                     zk_str msg, zk_str fields)
{
	struct zk_logline l = { .format = (enum zk_log_format)atomic_load(&format_now),
		                .color = color,
		                .wall_us = zk_wall_us(),
		                .level = level,
		                .logger = logger,
		                .msg = msg,
		                .fields = fields };

	zk_logline_put(b, &l);
}

static void put_dropped(struct zk_buf *b);

/* Writes without a thread, and says before the line how many were lost. Locked. */
static void write_now(zk_str text)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf note;
	uint64_t lost = dropped;

	zk_buf_init(&note, QUEUE_SPARE);
	put_dropped(&note);
	if (!write_all(out_fd, zk_buf_str(&note), STALL_MS))
		dropped = lost;
	if (dropped || !write_all(out_fd, text, STALL_MS))
		dropped += count_lines(text);
}

/* Hands a finished line to the thread or the descriptor. Locked. */
static void emit(zk_str line)
{
	if (!threaded) {
		write_now(line);
		return;
	}
	if (line.n > QUEUE_MAX - queue.n) {
		dropped++;
		return;
	}
	zk_buf_add(&queue, line);
	(void)pthread_cond_signal(&work);
}

/* Makes the terminal's last lines those before the bar. */
static void put_erase(struct zk_buf *b)
{
	if (!bar.n)
		return;
	zk_buf_lit(b, "\r\033[K");
	for (uint64_t n = count_lines(zk_buf_str(&bar)); n > 0; n--)
		zk_buf_lit(b, "\033[A\033[K");
}

/* Hands over what goes to fd 2. Locked. */
static void emit_stderr(zk_str text)
{
	if (out_fd == STDERR_FILENO)
		emit(text);
	else
		(void)write_all(STDERR_FILENO, text, STALL_MS);
}

/* Puts a finished line above the bar. Locked. */
static void emit_above_bar(zk_str line)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf all = { .cap = line.n + 2 * BAR_MAX };

	put_erase(&all);
	zk_buf_add(&all, line);
	zk_buf_add(&all, zk_buf_str(&bar));
	emit_stderr(zk_buf_str(&all));
}

static void emit_parts(enum zk_log_level level, const char *logger, zk_str msg,
                       zk_str fields)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf line;

	zk_buf_init(&line, ZK_LOGLINE_MAX + FOLD_FIELDS);
	put_line(&line, level, logger, msg, fields);
	if (line.failed) {
		zk_buf_clear(&line);
		put_line(&line, level, logger, msg, ZK_STR_NULL);
	}
	if (bar.n && out_fd == STDERR_FILENO)
		emit_above_bar(zk_buf_str(&line));
	else
		emit(zk_buf_str(&line));
}

static void put_dropped(struct zk_buf *b)
{
	char text[64];

	if (!dropped)
		return;
	(void)snprintf(text, sizeof(text), "dropped %llu line%s",
	               (unsigned long long)dropped, dropped == 1 ? "" : "s");
	put_line(b, ZK_LOG_WARN, "log", zk_str_of(text), ZK_STR_NULL);
	dropped = 0;
}

/* ---- folding ---- */

/* Writes how often a message came again and frees its slot. */
static void fold_end(struct fold *f, int64_t now_us)
{
	int64_t us = ZK_MIN(now_us - f->first_us, FOLD_US);
	uint64_t more = f->more;

	f->used = false;
	if (!more)
		return;
	zk_buf_printf(&f->msg, ": repeated %llu time%s in ", (unsigned long long)more,
	              more == 1 ? "" : "s");
	if (us == FOLD_US)
		zk_buf_lit(&f->msg, "10 s");
	else
		zk_buf_printf(&f->msg, "%lld.%lld s", (long long)(us / 1000000),
		              (long long)(us / 100000 % 10));
	emit_parts(f->level, f->logger, zk_buf_str(&f->msg), zk_buf_str(&f->fields));
}

static void fold_expire(int64_t now_us, bool all)
{
	for (size_t i = 0; i < FOLD_SLOTS; i++)
		if (folds[i].used && (all || now_us - folds[i].first_us >= FOLD_US))
			fold_end(&folds[i], now_us);
}

static bool fold_waits(void)
{
	for (size_t i = 0; i < FOLD_SLOTS; i++)
		if (folds[i].used && folds[i].more)
			return true;
	return false;
}

/* The slot for a new message: a free one, else that of the message not seen for longest. */
static struct fold *fold_slot(int64_t now_us)
{
	struct fold *old = &folds[0];

	for (size_t i = 0; i < FOLD_SLOTS; i++) {
		if (!folds[i].used)
			return &folds[i];
		if (folds[i].last_us < old->last_us)
			old = &folds[i];
	}
	fold_end(old, now_us);
	return old;
}

static uint64_t hash_of(enum zk_log_level level, const char *logger, zk_str msg,
                        zk_str fields)
{
	uint64_t parts[4] = { level, zk_hash(zk_str_of(logger)), zk_hash(msg),
		              zk_hash(fields) };

	return zk_hash(zk_str_n((const char *)parts, sizeof(parts)));
}

/* True when the message was written within the last seconds and is only counted. Locked. */
static bool folded(enum zk_log_level level, const char *logger, zk_str msg, zk_str fields)
{
	int64_t now = zk_mono_us();
	uint64_t hash = hash_of(level, logger, msg, fields);
	struct fold *f;

	fold_expire(now, false);
	for (size_t i = 0; i < FOLD_SLOTS; i++) {
		f = &folds[i];
		if (f->used && f->hash == hash) {
			f->more++;
			f->last_us = now;
			return true;
		}
	}
	if (msg.n > FOLD_MSG || fields.n > FOLD_FIELDS)
		return false;
	f = fold_slot(now);
	f->hash = hash;
	f->first_us = f->last_us = now;
	f->more = 0;
	f->level = level;
	(void)snprintf(f->logger, sizeof(f->logger), "%s", logger);
	f->msg.cap = FOLD_MSG + 64;
	f->fields.cap = FOLD_FIELDS;
	zk_buf_clear(&f->msg);
	zk_buf_clear(&f->fields);
	zk_buf_add(&f->msg, msg);
	zk_buf_add(&f->fields, fields);
	f->used = true;
	return false;
}

/* ---- the writer thread ---- */

/* Waits for lines, or for a fold to come of age. Locked. */
static void wait_for_work(void)
{
	struct timespec until = zk_real_in(FOLD_TICK_MS);

	if (fold_waits())
		(void)pthread_cond_timedwait(&work, &lock, &until);
	else
		(void)pthread_cond_wait(&work, &lock);
}

/* Writes what one look at the queue found. Enters and leaves locked. */
static void write_batch(struct zk_buf *batch)
{
	int fd = out_fd;
	bool done;

	put_dropped(batch);
	writing = true;
	give_lock();
	/* A terminal that was stopped stops this thread only. */
	done = write_all(fd, zk_buf_str(batch), INT_MAX);
	take_lock();
	if (!done)
		dropped += count_lines(zk_buf_str(batch));
	writing = false;
	zk_buf_clear(batch);
}

static void *writer(void *ctx)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf batch;

	(void)ctx;
	zk_buf_init(&batch, QUEUE_MAX + QUEUE_SPARE);
	take_lock();
	while (!atomic_load(&quit) || queue.n) {
		struct zk_buf swap = queue;

		if (!queue.n) {
			(void)pthread_cond_broadcast(&idle);
			wait_for_work();
			fold_expire(zk_mono_us(), false);
			continue;
		}
		queue = batch;
		batch = swap;
		write_batch(&batch);
	}
	(void)pthread_cond_broadcast(&idle);
	give_lock();
	return NULL;
}

static void start_thread(void)
{
	sigset_t all, was;

	atomic_store(&quit, false);
	(void)sigfillset(&all); /* signals are for the threads of the program */
	(void)pthread_sigmask(SIG_SETMASK, &all, &was);
	threaded = pthread_create(&thread, NULL, writer, NULL) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
}

/* Ends the thread; what other threads logged meanwhile is written here. Enters and leaves
 * locked. */
static void stop_thread(void)
{
	if (!threaded)
		return;
	atomic_store(&quit, true);
	(void)pthread_cond_signal(&work);
	give_lock();
	(void)pthread_join(thread, NULL);
	take_lock();
	threaded = false;
	if (queue.n)
		write_now(zk_buf_str(&queue));
	zk_buf_done(&queue);
}

/* Waits until the queue is written, or for a while. Locked. */
static void drain(void)
{
	struct timespec until = zk_real_in(FLUSH_MS);

	while (threaded && (queue.n || writing))
		if (pthread_cond_timedwait(&idle, &lock, &until) == ETIMEDOUT)
			break;
}

/* ---- interface ---- */

/* True when descriptor 2 is the stream that systemd gave us (ux.md §7). */
static bool is_journal(void)
{
	const char *name = getenv("JOURNAL_STREAM");
	zk_str dev, inode;
	struct zk_error err;
	uint64_t d, i;
	struct stat st;

	if (!name)
		return false;
	inode = zk_str_cut(zk_str_of(name), ':', &dev);
	return zk_parse_u64(dev, &d, &err) == 0 && zk_parse_u64(inode, &i, &err) == 0 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == d && st.st_ino == i;
}

static void close_file(void)
{
	if (out_fd != STDERR_FILENO)
		(void)close(out_fd); /* nothing to be done about it */
	out_fd = STDERR_FILENO;
}

int zk_log_setup(const struct zk_log_conf *conf, struct zk_error *err)
{
	enum zk_log_format format = conf->format;
	int fd = STDERR_FILENO;

	if (conf->file) {
		fd = open(conf->file,
		          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
		if (fd < 0)
			return zk_fail_errno(err, ZK_E_CREATE, errno,
			                     "cannot open the log file '%s'", conf->file);
	}
	if (format == ZK_LOG_AUTO)
		format = !conf->file && is_journal() ? ZK_LOG_JOURNALD : ZK_LOG_TEXT;

	zk_log_flush();
	take_lock();
	stop_thread();
	fold_expire(zk_mono_us(), true);
	close_file();
	out_fd = fd;
	color = conf->color;
	atomic_store(&format_now, format);
	atomic_store(&level_now, conf->level);
	if (conf->threaded)
		start_thread();
	give_lock();
	return 0;
}

void zk_log_flush(void)
{
	int saved = errno;

	take_lock();
	fold_expire(zk_mono_us(), true);
	drain();
	if (!threaded && dropped)
		write_now(ZK_STR_NULL);
	give_lock();
	errno = saved;
}

void zk_log_stop(void)
{
	zk_log_flush();
	take_lock();
	stop_thread();
	fold_expire(zk_mono_us(), true);
	close_file();
	for (size_t i = 0; i < FOLD_SLOTS; i++) {
		zk_buf_done(&folds[i].msg);
		zk_buf_done(&folds[i].fields);
	}
	give_lock();
}

void zk_log_say(enum zk_log_level level, zk_str text)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf line;

	zk_buf_init(&line, ZK_LOGLINE_MAX);
	take_lock();
	if (atomic_load(&format_now) == ZK_LOG_TEXT) {
		zk_buf_add(&line, text);
		zk_buf_char(&line, '\n');
	} else {
		put_line(&line, level, "zk", text, ZK_STR_NULL);
	}
	emit_above_bar(zk_buf_str(&line));
	give_lock();
}

void zk_log_bar(zk_str text)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf all = { .cap = 2 * BAR_MAX };

	take_lock();
	put_erase(&all);
	zk_buf_done(&bar);
	zk_buf_add(&bar, text);
	zk_buf_add(&all, zk_buf_str(&bar));
	emit_stderr(zk_buf_str(&all));
	give_lock();
}

bool zk_log_enabled(enum zk_log_level level)
{
	return (int)level <= atomic_load_explicit(&level_now, memory_order_relaxed);
}

enum zk_log_level zk_log_level_get(void)
{
	return (enum zk_log_level)atomic_load(&level_now);
}

enum zk_log_format zk_log_format_get(void)
{
	return (enum zk_log_format)atomic_load(&format_now);
}

void zk_log_level_set(enum zk_log_level level)
{
	atomic_store(&level_now, level);
}

bool zk_log_level_parse(zk_str s, enum zk_log_level *ret)
{
	for (int i = ZK_LOG_ERROR; i <= ZK_LOG_DEBUG; i++) {
		if (zk_str_eq(s, zk_str_of(zk_log_level_name((enum zk_log_level)i)))) {
			*ret = (enum zk_log_level)i;
			return true;
		}
	}
	return false;
}

static ZK_PRINTF(4, 0) void write_v(enum zk_log_level level, const char *logger,
                                    const char *msg, const char *fmt, va_list ap)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf clean, fields;
	enum zk_log_format format = zk_log_format_get();
	int saved = errno;

	zk_buf_init(&clean, ZK_LOGLINE_MAX / 4);
	zk_buf_init(&fields, ZK_LOGLINE_MAX / 2);
	zk_redact_into(&clean, zk_str_of(msg));
	zk_logline_fields(&fields, format, fmt, ap);
	if (fields.failed)
		zk_buf_clear(&fields);

	take_lock();
	if (format != zk_log_format_get()) /* set up afresh meanwhile */
		zk_buf_clear(&fields);
	if (!folded(level, logger, zk_buf_str(&clean), zk_buf_str(&fields)))
		emit_parts(level, logger, zk_buf_str(&clean), zk_buf_str(&fields));
	give_lock();
	errno = saved;
}

void zk_log_write(enum zk_log_level level, const char *logger, const char *msg,
                  const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_v(level, logger, msg, fmt, ap);
	va_end(ap);
}

/* ---- the last errors ---- */

static struct {
	struct zk_recent_error v[ZK_RECENT_ERRORS];
	unsigned n, next;
} recent;

void zk_recent_text(char *to, size_t room, zk_str text)
{
	ZK_CLEANUP(zk_buf_done)
	struct zk_buf clean;

	zk_buf_init(&clean, ZK_LOGLINE_MAX / 4);
	zk_redact_into(&clean, text);
	(void)snprintf(to, room, "%s", zk_buf_cstring(&clean));
	/* Not in the middle of a character. */
	for (size_t n = strlen(to); n && !zk_utf8_valid(zk_str_n(to, n)); n--)
		to[n - 1] = '\0';
}

static void remember(const char *logger, const char *msg, const struct zk_error *err)
{
	struct zk_recent_error e = { .at_us = zk_wall_us(), .code = (int)err->code };

	zk_recent_text(e.logger, sizeof(e.logger), zk_str_of(logger));
	zk_recent_text(e.msg, sizeof(e.msg), zk_str_of(msg));
	zk_recent_text(e.error, sizeof(e.error), zk_str_of(err->msg));
	take_lock();
	recent.v[recent.next] = e;
	recent.next = (recent.next + 1) % ZK_RECENT_ERRORS;
	recent.n = ZK_MIN(recent.n + 1, (unsigned)ZK_RECENT_ERRORS);
	give_lock();
}

size_t zk_recent_errors(struct zk_recent_error out[ZK_RECENT_ERRORS])
{
	unsigned n;

	take_lock();
	n = recent.n;
	for (unsigned i = 0; i < n; i++)
		out[i] = recent.v[(recent.next + ZK_RECENT_ERRORS - 1 - i) %
		                  ZK_RECENT_ERRORS];
	give_lock();
	return n;
}

void zk_log_error(enum zk_log_level level, const char *logger, const char *msg,
                  const struct zk_error *err)
{
	if (level <= ZK_LOG_WARN)
		remember(logger, msg, err);
	if (!zk_log_enabled(level))
		return;
	if (err->where[0])
		zk_log_write(level, logger, msg, "code=ZK%04d error=%s where=%s",
		             (int)err->code, err->msg, err->where);
	else
		zk_log_write(level, logger, msg, "code=ZK%04d error=%s", (int)err->code,
		             err->msg);
}
