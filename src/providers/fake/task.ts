/** Signals by name with their numbers: what 128+n is made of. */
export const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGUSR1: 10, SIGSEGV: 11, SIGUSR2: 12, SIGPIPE: 13, SIGALRM: 14, SIGTERM: 15,
}; // prettier-ignore

/** A task died of a signal. Reason of its abort signal, so that everything it waits for ends with this. */
export class Death extends Error {
  readonly signal: string;
  readonly oom: boolean;

  constructor(signal: string, oom = false) {
    super(`died of ${signal}`);
    this.signal = signal;
    this.oom = oom;
  }

  get status(): number {
    return 128 + (SIGNALS[this.signal] ?? 0);
  }
}

/** One process inside: a pid, and a signal that ends all its waiting. */
export class Task {
  readonly pid: number;
  readonly job: Job;
  readonly #controller = new AbortController();

  constructor(pid: number, job: Job) {
    this.pid = pid;
    this.job = job;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  kill(signal: string, oom = false): void {
    this.#controller.abort(new Death(signal, oom));
  }
}

/** The process tree of one exec or background process. */
export class Job {
  readonly tasks = new Set<Task>();
  readonly #pids: PidTable;

  constructor(pids: PidTable) {
    this.#pids = pids;
  }

  spawn(): Task {
    const task = new Task(this.#pids.next(), this);
    this.tasks.add(task);
    this.#pids.tasks.set(task.pid, task);
    return task;
  }

  end(task: Task): void {
    this.tasks.delete(task);
    this.#pids.tasks.delete(task.pid);
  }

  /** Signals the whole tree, daemonised children too. */
  kill(signal: string): void {
    for (const task of this.tasks) task.kill(signal);
  }
}

/** All processes of one sandbox. */
export class PidTable {
  readonly tasks = new Map<number, Task>();
  #last = 1;

  next(): number {
    return ++this.#last;
  }
}
