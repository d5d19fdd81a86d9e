/* trivial.c - the smallest honest program: it allocates, frees, and ends.
 *
 * Its peak resident set is what a heap costs a program that hardly uses it. It
 * does allocate once, or a heap that sets itself up at the first malloc would
 * look free.
 */
#include <stdlib.h>

int main(void) {
    char* volatile text = malloc(100);
    if (text == NULL) {
        return 1;
    }
    text[0] = 'x';
    free(text);
    return 0;
}
