/** How much slower than usual the machine is on which the tests run; the virtual machine of the kernel suite says so. */
const SLOWNESS = Number(process.env['CMT_TEST_SLOWNESS'] ?? 1);

/** A limit in milliseconds that fits this machine. */
export const patient = (ms: number): number => ms * SLOWNESS;
