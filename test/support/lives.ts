/** Whether there is such a process; one that has ended counts until it is reaped. */
export function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
