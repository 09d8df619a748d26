/** What a CPU must offer to a program that was started on another: the instructions it may have found there. Pure. */

/** Flags of /proc/cpuinfo on x86 that programs find by CPUID and then use. The rest is the kernel's business. */
const USED =
  /^(mmx|sse|ssse|pni|avx|aes|vaes|pclmul|vpclmul|fma|f16c|bmi|abm|adx|sha|popcnt|movbe|movdir|xsave|fsgsbase|cx16|rd|erms|fsrm|clflushopt|clwb|gfni|lahf|amx|rtm|hle|tsx|serialize|3dnow|xop|tbm|pku|ospke)/;
/** x86 names every vendor's basics; a list without them is another architecture's, where all of it counts. */
const isX86 = (flags: readonly string[]): boolean => flags.includes('fpu');

/** Flags of the one that the other lacks, sorted. An unknown list decides nothing: `validate` asks CRIU itself. */
export function missingFlags(here: readonly string[], there: readonly string[] | undefined): string[] {
  if (there === undefined) return [];
  const offered = new Set(there);
  const needed = isX86(here) ? here.filter((flag) => USED.test(flag)) : here;
  return [...new Set(needed.filter((flag) => !offered.has(flag)))].sort();
}
