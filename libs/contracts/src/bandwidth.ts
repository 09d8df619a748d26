/** Rates at which bytes may pass a wire. */
import { z } from 'zod';

/** Bytes per second that images, and files, may take. */
export const Bandwidth = z.int().min(64 * 1024, 'at least 64KiB/s');
