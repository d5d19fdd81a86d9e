/* measure.c - runs a program on a given heap and writes down what it cost.
 *
 *   measure RESULT LIBRARY PROGRAM [ARGUMENT...]
 *
 * RESULT receives one line: exit code (128 + signal when killed), peak resident
 * KiB of the largest process below, CPU microseconds, wall microseconds, minor
 * faults, major faults. LIBRARY is preloaded into PROGRAM only.
 *
 * Why a program of its own: Linux counts the pages of the image *before* exec
 * into the peak of the process, so a child forked by a 30 MB Python starts with
 * a peak of 30 MB. This one is linked statically and stays below any program
 * worth measuring; its child's wait4 figures are the program's.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long microseconds(struct timeval value) {
    return value.tv_sec * 1000000LL + value.tv_usec;
}

int main(int argc, char** argv) {
    if (argc < 4) {
        fprintf(stderr, "measure RESULT LIBRARY PROGRAM [ARGUMENT...]: got %d arguments\n",
                argc - 1);
        return 2;
    }
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("LD_PRELOAD", argv[2], 1);
        execvp(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    int status = 0;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) < 0) {
        perror("measure");
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    FILE* result = fopen(argv[1], "w");
    if (result == NULL) {
        perror(argv[1]);
        return 1;
    }
    fprintf(result, "%d %ld %lld %lld %ld %ld\n",
            WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), used.ru_maxrss,
            microseconds(used.ru_utime) + microseconds(used.ru_stime),
            (end.tv_sec - start.tv_sec) * 1000000LL + (end.tv_nsec - start.tv_nsec) / 1000,
            used.ru_minflt, used.ru_majflt);
    return fclose(result) == 0 ? 0 : 1;
}
