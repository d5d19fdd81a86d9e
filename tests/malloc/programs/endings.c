/* endings.c - ends in the way its argument says. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char** words) {
    const char* way = count > 1 ? words[1] : "return";
    for (int i = 0; i < 1000; ++i) {
        void* volatile p = malloc((size_t)i);
        if (i % 2 == 0) free(p);
    }
    if (strcmp(way, "code") == 0) exit(atoi(words[2]));
    if (strcmp(way, "signal") == 0) raise(atoi(words[2]));
    if (strcmp(way, "quick") == 0) _exit(0);
    if (strcmp(way, "no-stderr") == 0) fclose(stderr); /* as the GNU tools do at the end */
    if (strcmp(way, "log") == 0) {                     /* as daemons do */
        close(2);
        if (open(words[2], O_WRONLY | O_CREAT | O_TRUNC, 0644) != 2) return 9;
    }
    if (strcmp(way, "all-files") ==
        0) { /* closes everything and opens its own data file in each place */
        for (int file = 0; file < 2000; ++file) close(file);
        for (int file = 0; file < 1000; ++file) open(words[2], O_WRONLY | O_CREAT | O_APPEND, 0644);
    }
    if (strcmp(way, "fork") == 0 && fork() != 0) {
        int status;
        wait(&status);
        return WEXITSTATUS(status);
    }
    if (strcmp(way, "environment") == 0) {
        printf("%s\n%s\n", getenv("LD_PRELOAD"),
               getenv("STEADY_DEBUG") ? getenv("STEADY_DEBUG") : "");
        for (int i = 2; i < count; ++i) puts(words[i]);
    }
    return 0;
}
