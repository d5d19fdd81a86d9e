/* plain_c.c - a C program; prints the files of the libraries in its memory and
 * how many threads it has, those included that libc does not know. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char line[4096], last[4096] = "";
    FILE* maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL) {
        char* path = strchr(line, '/');
        if (path != NULL && strcmp(path, last) != 0) fputs(strcpy(last, path), stdout);
    }
    fclose(maps);
    free(malloc(100));
    int threads = 0;
    DIR* tasks = opendir("/proc/self/task");
    for (struct dirent* entry; (entry = readdir(tasks)) != NULL;)
        threads += entry->d_name[0] != '.';
    closedir(tasks);
    printf("threads %d\n", threads);
    return 0;
}
