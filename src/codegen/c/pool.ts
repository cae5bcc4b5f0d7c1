/**
 * The threads of generated C. One function is run by all of them at once, each knowing its number; they meet at
 * `netwright_barrier`. A thread that has nothing to do spins for a moment, since the next kernel comes soon, and then sleeps.
 */

/** What kernels need to share their work. */
export const POOL_HEADER = `typedef void (*netwright_task)(const void *args, int part, int parts);
extern _Thread_local int netwright_threads;
void netwright_share(netwright_task task, const void *args);
void netwright_barrier(void);
/* Where a part of the iterations begins; after the last part, the end. */
static inline ptrdiff_t netwright_cut(ptrdiff_t from, ptrdiff_t to, ptrdiff_t step, int part, int parts) {
  const ptrdiff_t n = to > from ? (to - from + step - 1) / step : 0;
  return part == parts ? to : from + n * part / parts * step;
}
`;

/**
 * The pool. All its threads take part in the barrier at a task's end, even when fewer were asked for: none can then be late
 * for one task and mistake the next for it. A second caller at the same time runs its task alone.
 */
export const POOL = `#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
${POOL_HEADER}
#define NETWRIGHT_MOST 64
_Thread_local int netwright_threads = 1;
static atomic_int started = 1;
static unsigned first_task[NETWRIGHT_MOST];
static netwright_task task_now;
static const void *args_now;
static int parts_now;
static atomic_uint task_number, sleepers;
static atomic_uint meeting[2], met[2];
static atomic_flag busy = ATOMIC_FLAG_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

static void relax(int spins) {
  if (spins > 2000) sched_yield();
#if defined(__x86_64__) || defined(__i386__)
  else __builtin_ia32_pause();
#endif
}

static void meet(int which, unsigned parts) {
  const unsigned round = atomic_load(&met[which]);
  if (atomic_fetch_add(&meeting[which], 1) + 1 == parts) {
    atomic_store(&meeting[which], 0);
    atomic_store(&met[which], round + 1);
  } else for (int i = 0; atomic_load(&met[which]) == round; i++) relax(i);
}

void netwright_barrier(void) { meet(0, (unsigned)parts_now); }

static void *worker(void *number) {
  const int part = (int)(intptr_t)number;
  unsigned seen = first_task[part];
  for (;;) {
    for (int i = 0; i < 20000 && atomic_load(&task_number) == seen; i++) relax(0);
    if (atomic_load(&task_number) == seen) {
      pthread_mutex_lock(&lock);
      atomic_fetch_add(&sleepers, 1);
      while (atomic_load(&task_number) == seen) pthread_cond_wait(&wake, &lock);
      atomic_fetch_sub(&sleepers, 1);
      pthread_mutex_unlock(&lock);
    }
    seen++;
    if (part < parts_now) task_now(args_now, part, parts_now);
    meet(1, (unsigned)started);
  }
  return 0;
}

/* How many threads kernels may use that this thread calls from now on; starts those that are missing. */
void netwright_use(int threads) {
  const int wanted = threads < NETWRIGHT_MOST ? threads : NETWRIGHT_MOST;
  netwright_threads = wanted;
  if (wanted <= started || atomic_flag_test_and_set(&busy)) return;
  while (started < wanted) {
    pthread_t thread;
    first_task[started] = atomic_load(&task_number);
    if (pthread_create(&thread, 0, worker, (void *)(intptr_t)started)) break;
    pthread_detach(thread);
    started++;
  }
  atomic_flag_clear(&busy);
}

void netwright_share(netwright_task task, const void *args) {
  if (netwright_threads < 2 || atomic_flag_test_and_set(&busy)) {
    task(args, 0, 1);
    return;
  }
  task_now = task;
  args_now = args;
  parts_now = netwright_threads < started ? netwright_threads : started;
  atomic_fetch_add(&task_number, 1);
  if (atomic_load(&sleepers) > 0) {
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
  }
  task(args, 0, parts_now);
  meet(1, (unsigned)started);
  atomic_flag_clear(&busy);
}
`;
