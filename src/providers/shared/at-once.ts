/** One piece of work for all who ask for the same thing at the same time. */
export function shared<T>(running: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
  const current = running.get(key);
  if (current !== undefined) return current;
  const started = work().finally(() => running.delete(key));
  running.set(key, started);
  return started;
}
