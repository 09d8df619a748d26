/** What a report of vitest says, as far as `npm test` tells it on. */
import { relative } from 'node:path';

const LINES = 6;

/** What passed, failed and was skipped. A file that broke outside of its tests counts as one failure. */
export function countsOf({ testResults }) {
  const statuses = testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ status }) => status),
  );
  const passed = statuses.filter((status) => status === 'passed').length;
  const failed = statuses.filter((status) => status === 'failed').length;
  return {
    passed,
    failed: failed + testResults.filter(isBroken).length,
    skipped: statuses.length - passed - failed,
  };
}

/** What failed, each with the beginning of its message: one text a failure. */
export const failuresOf = ({ testResults }) => testResults.flatMap(failuresOfFile);

/** Paths of the files in which something failed. */
export const failedFiles = ({ testResults }) =>
  testResults.filter(({ status }) => status === 'failed').map(({ name }) => relative('.', name));

/** The report with another that was made later of some of its files. */
export function amended(report, later) {
  const names = new Set(later.testResults.map(({ name }) => name));
  return {
    testResults: [...report.testResults.filter(({ name }) => !names.has(name)), ...later.testResults],
  };
}

function failuresOfFile(file) {
  const path = relative('.', file.name);
  if (isBroken(file)) return [failure(path, [file.message || 'broke outside of its tests'])];
  return failed(file).map(({ fullName, failureMessages }) =>
    failure(`${path} > ${fullName}`, failureMessages),
  );
}

const failed = ({ assertionResults }) => assertionResults.filter(({ status }) => status === 'failed');

/** A hook or an import has thrown. */
const isBroken = (file) => file.status === 'failed' && failed(file).length === 0;

const failure = (name, messages) =>
  [name, ...messages.join('\n').split('\n').slice(0, LINES)].join('\n    ').trimEnd();
